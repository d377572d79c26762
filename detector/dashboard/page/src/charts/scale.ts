/** The scale on which scores are drawn: linear up to 4, logarithmic above, without a kink; and the tape's grid on it. */

export const LINEAR = 4;
const STEP = 1 / 32;
const RATIO = 16; // steps to a factor of e above LINEAR

export function placed(score: number): number {
  return score <= LINEAR ? score : LINEAR * (1 + Math.log(score / LINEAR));
}

export function scoreAt(place: number): number {
  return place <= LINEAR ? place : LINEAR * Math.exp(place / LINEAR - 1);
}

/** To the nearest step of the tape's grid: between two steps a threshold decides nothing else. */
export function snapped(score: number): number {
  return stepped(score, 0);
}

/** So many steps of the grid away. */
export function stepped(score: number, steps: number): number {
  const level = score <= LINEAR ? score / STEP : LINEAR / STEP + RATIO * Math.log(score / LINEAR);
  const to = Math.round(level) + steps;
  const found = to * STEP <= LINEAR ? to * STEP : LINEAR * Math.exp((to - LINEAR / STEP) / RATIO);
  return Number(found.toPrecision(7));
}

const TICKS = [0, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128, 256, 512, 1024, 2048, 4096];

export function ticks(low: number, high: number): number[] {
  const inside = TICKS.filter((tick) => tick >= low && tick <= high);
  return inside.length > 9 ? inside.filter((tick) => ![1.5, 3, 6, 12, 24].includes(tick)) : inside;
}

/** Counts from one to a hundred thousand in one picture: log of one more. */
export function tall(count: number): number {
  return Math.log10(1 + count);
}

export function countTicks(most: number): number[] {
  const all = [0, 1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000];
  const inside = all.filter((tick) => tick <= most);
  return inside.length > 7 ? inside.filter((tick) => tick === 0 || /^10*$/.test(String(tick))) : inside;
}
