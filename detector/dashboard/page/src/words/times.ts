/** Times in the viewer's zone, and in UTC for whoever compares with a log. */

export const US = 1_000; // microseconds in a millisecond

const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const both = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
});
const exact = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});
const brief = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

export function ofLog(us: number): Date {
  return new Date(us / US);
}

export function ofWall(seconds: number): Date {
  return new Date(seconds * 1_000);
}

export function local(at: Date, how: "day" | "minute" | "second" = "minute"): string {
  return (how === "day" ? day : how === "minute" ? both : exact).format(at);
}

const hour = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

export function hourShort(at: Date): string {
  return hour.format(at);
}

export function dayShort(at: Date): string {
  return brief.format(at);
}

/** "2026-01-05 08:09:23 UTC". */
export function utc(at: Date): string {
  return Number.isNaN(at.getTime()) ? "" : `${at.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** The value of an <input type="datetime-local">, and back. */
export function typed(at: Date): string {
  const shifted = new Date(at.getTime() - at.getTimezoneOffset() * 60_000);
  return shifted.toISOString().slice(0, 16);
}

export function ofTyped(text: string): Date | null {
  const at = new Date(text);
  return text === "" || Number.isNaN(at.getTime()) ? null : at;
}
