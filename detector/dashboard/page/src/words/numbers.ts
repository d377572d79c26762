/** How numbers are said: counts, scores, shares as "1 in 500", sizes, spans. */

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
export const NONE = "–";

export function count(n: number | null | undefined): string {
  return n === null || n === undefined ? NONE : whole.format(n);
}

export function compact(n: number): string {
  return n < 10_000 ? whole.format(n) : short.format(n);
}

/** "1 client", "2 clients". */
export function several(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

/** Two decimals where they tell something: a score moves by 1/32 up to 4, by 6% above. */
export function score(x: number | null | undefined): string {
  if (x === null || x === undefined) return NONE;
  const size = Math.abs(x);
  return x.toFixed(size < 10 ? 2 : size < 100 ? 1 : 0);
}

export function signed(x: number, digits = 1): string {
  return (x < 0 ? "−" : "+") + Math.abs(x).toFixed(digits);
}

export function percent(share: number | null | undefined): string {
  if (share === null || share === undefined) return NONE;
  const size = share * 100;
  if (size === 0) return "0%";
  if (size < 0.001) return "<0.001%";
  return `${Number(size.toPrecision(size >= 10 ? 3 : 2))}%`;
}

/** A probability that was estimated: no more digits than it is worth. */
export function likely(p: number): string {
  return p > 0.99 ? ">99%" : p < 0.01 ? "<1%" : `${Math.round(p * 100)}%`;
}

/** 0.002 is "1 in 500". Shares above a half are said as percent. */
export function oneIn(share: number | null | undefined): string {
  if (share === null || share === undefined || share <= 0) return NONE;
  if (share > 0.5) return percent(share);
  const n = 1 / share;
  if (n < 9.95) return `1 in ${Number(n.toFixed(1))}`;
  return `1 in ${whole.format(n < 1_000 ? Math.round(n) : Number(n.toPrecision(3)))}`;
}

/** What a person types for a share: "1 in 500", "1/500", "500" (one in so many), "0.2%", "0.002". */
export function shareOf(text: string): number | null {
  const said = text.trim().toLowerCase().replace(/(?<=\d)[, ](?=\d{3}\b)/g, "");
  const ratio = /^(\d+(?:\.\d+)?)\s*(?:in|of|\/|:)\s*(\d+(?:\.\d+)?)$/.exec(said);
  if (ratio) return between(Number(ratio[1]) / Number(ratio[2]));
  const part = /^(\d*\.?\d+)\s*%$/.exec(said);
  if (part) return between(Number(part[1]) / 100);
  if (/^\d*\.?\d+$/.test(said)) {
    const n = Number(said);
    return between(n > 1 ? 1 / n : n);
  }
  return null;
}

function between(share: number): number | null {
  return Number.isFinite(share) && share > 0 && share < 1 ? share : null;
}

export function bytes(n: number): string {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let size = n;
  let unit = 0;
  while (size >= 1_000 && unit < units.length - 1) {
    size /= 1_000;
    unit += 1;
  }
  return `${unit === 0 || size >= 100 ? Math.round(size) : Number(size.toPrecision(2))} ${units[unit]}`;
}

/** A span in the largest unit that fits: "45 s", "12 min", "3 h", "9 days". */
export function span(seconds: number): string {
  const s = Math.max(0, seconds);
  if (s < 1) return "under 1 s";
  if (s < 90) return `${Math.round(s)} s`;
  if (s < 5_400) return `${Math.round(s / 60)} min`;
  if (s < 129_600) return `${Math.round(s / 3_600)} h`;
  return several(Math.round(s / 86_400), "day");
}
