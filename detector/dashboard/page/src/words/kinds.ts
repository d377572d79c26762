/** Severities, answers, levels and states, in the words of the documents. */
import type * as S from "../api/shapes";

export type Severity = S.ThresholdAt["severity"];
export type Answer = S.Say["answer"];

/** Ascending, as thresholds are. */
export const SEVERITIES: readonly Severity[] = ["informational", "low", "medium", "high", "critical"];
export const ANSWERS: readonly Answer[] = ["attack", "honest", "automation", "unsure"];

const SAID: Record<Answer, string> = {
  attack: "attack",
  honest: "honest",
  automation: "honest automation",
  unsure: "unsure",
};

export function answer(of: Answer): string {
  return SAID[of];
}

/** "client" and "client:automation" are levels; so is any group that the log names. */
export function level(name: string, many = false): string {
  const [kind = name, of] = name.split(":");
  const noun = many && !kind.endsWith("s") ? `${kind}s` : kind;
  return of ? `${noun} declared as ${of}` : noun;
}

const KINDS: Record<string, string> = {
  extraction: "copying the model",
  membership: "finding out what it was taught on",
  inversion: "drawing training data out of it",
  evasion: "looking for inputs that deceive it",
  unknown: "asking oddly",
  exposure: "has learned much of the model",
  ring: "accounts that ask as one hand",
  budget: "asked more than its budget",
  population: "the population moved",
  health: "the detector itself",
  audit: "somebody at the dashboard",
};

export function kind(of: string): string {
  return KINDS[of] ?? of;
}

export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** "30d" as the profile says it is "30 days"; "log" is the span of the log that calibrated. */
export function horizon(of: string): string {
  const found = /^(\d+(?:\.\d+)?)([dhm])$/.exec(of);
  if (!found) return of === "log" ? "the span of the log" : of;
  const unit = { d: "day", h: "hour", m: "minute" }[found[2] as "d" | "h" | "m"];
  return `${found[1]} ${unit}${found[1] === "1" ? "" : "s"}`;
}

/** A note of the detector's, which begins small and ends without a stop, as a sentence of a page. What it marks as code
 * is marked for terminals. */
export function sentence(note: string): string {
  return note === "" ? "" : capital(note.replaceAll("`", "")) + (/[.!?]$/.test(note) ? "" : ".");
}
