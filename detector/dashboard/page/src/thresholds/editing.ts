/** What is being changed of a policy: a working copy beside the one in force. Nothing here asks the server. */
import type * as S from "../api/shapes";
import { SEVERITIES, type Severity } from "../words/kinds";

export interface Working {
  thresholds: Record<string, S.ThresholdAt[]>;
  coolDown: number;
  /** What a draft says of the allow-list: carried along, not edited here. */
  suppressions?: S.Allowed[];
}

export function workingOn(policy: S.PolicyWord): Working {
  return { thresholds: policy.thresholds, coolDown: policy.cool_down_s };
}

/** A change laid over the policy that it was made for. */
export function workingWith(policy: S.PolicyWord, change: S.Change): Working {
  return {
    thresholds: { ...policy.thresholds, ...change.thresholds },
    coolDown: change.cool_down_s ?? policy.cool_down_s,
    ...(change.suppressions ? { suppressions: change.suppressions } : {}),
  };
}

/** What differs from the policy. Levels that nobody touched are left out, so that they follow whatever is in force. */
export function changeOf(policy: S.PolicyWord, working: Working): S.Change {
  const thresholds: Record<string, S.ThresholdAt[]> = {};
  for (const [level, now] of Object.entries(working.thresholds)) {
    if (!sameThresholds(now, policy.thresholds[level] ?? [])) thresholds[level] = now;
  }
  return {
    ...(Object.keys(thresholds).length > 0 ? { thresholds } : {}),
    ...(working.coolDown !== policy.cool_down_s ? { cool_down_s: working.coolDown } : {}),
    ...(working.suppressions ? { suppressions: working.suppressions } : {}),
  };
}

export function isEmpty(change: S.Change): boolean {
  return change.thresholds === undefined && change.cool_down_s === undefined && change.suppressions === undefined;
}

export function sameThresholds(a: readonly S.ThresholdAt[], b: readonly S.ThresholdAt[]): boolean {
  return a.length === b.length && a.every((one, at) => one.severity === b[at]?.severity && one.score === b[at]?.score);
}

export function sameChange(a: S.Change, b: S.Change): boolean {
  const levels = new Set([...Object.keys(a.thresholds ?? {}), ...Object.keys(b.thresholds ?? {})]);
  return (
    a.cool_down_s === b.cool_down_s &&
    JSON.stringify(a.suppressions ?? null) === JSON.stringify(b.suppressions ?? null) &&
    [...levels].every((level) => sameThresholds(a.thresholds?.[level] ?? [], b.thresholds?.[level] ?? []))
  );
}

/** Moves one threshold. A graver one never stands below a milder one: it stops at its neighbours. */
export function moved(of: readonly S.ThresholdAt[], severity: Severity, score: number): S.ThresholdAt[] {
  const at = of.findIndex((one) => one.severity === severity);
  const low = of[at - 1]?.score ?? -Infinity;
  const high = of[at + 1]?.score ?? Infinity;
  return of.map((one) => (one.severity === severity ? { severity, score: Math.min(Math.max(score, low), high) } : one));
}

/** With a threshold for one severity more, halfway between its neighbours, or a third beyond the last. */
export function withSeverity(of: readonly S.ThresholdAt[], severity: Severity): S.ThresholdAt[] {
  const rank = SEVERITIES.indexOf(severity);
  const below = of.filter((one) => SEVERITIES.indexOf(one.severity) < rank);
  const above = of.filter((one) => SEVERITIES.indexOf(one.severity) > rank);
  const low = below[below.length - 1]?.score;
  const high = above[0]?.score;
  const score = low !== undefined && high !== undefined ? (low + high) / 2 : low !== undefined ? low * 4 / 3 : high !== undefined ? high * 0.75 : 2;
  return [...below, { severity, score }, ...above];
}

export function withoutSeverity(of: readonly S.ThresholdAt[], severity: Severity): S.ThresholdAt[] {
  return of.filter((one) => one.severity !== severity);
}

/** Severities for which there is no threshold yet. */
export function missing(of: readonly S.ThresholdAt[]): Severity[] {
  return SEVERITIES.filter((severity) => !of.some((one) => one.severity === severity));
}

/** Two versions of a change side by side: one line for each threshold in which they differ. */
export interface Difference {
  what: string;
  mine: string;
  theirs: string;
}

export function differences(mine: S.Change, theirs: S.Change, said: (score: number) => string): Difference[] {
  const found: Difference[] = [];
  const levels = new Set([...Object.keys(mine.thresholds ?? {}), ...Object.keys(theirs.thresholds ?? {})]);
  for (const level of levels) {
    for (const severity of SEVERITIES) {
      const of = (change: S.Change) => {
        const listed = change.thresholds?.[level];
        if (!listed) return "as in force";
        const one = listed.find((threshold) => threshold.severity === severity);
        return one ? said(one.score) : "none";
      };
      if (of(mine) !== of(theirs) && (of(mine) !== "as in force" || of(theirs) !== "none") && (of(theirs) !== "as in force" || of(mine) !== "none")) {
        found.push({ what: `${level}, ${severity}`, mine: of(mine), theirs: of(theirs) });
      }
    }
  }
  if (mine.cool_down_s !== theirs.cool_down_s) {
    const of = (change: S.Change) => (change.cool_down_s === undefined ? "as in force" : `${change.cool_down_s} s`);
    found.push({ what: "cool-down", mine: of(mine), theirs: of(theirs) });
  }
  return found;
}
