import { describe, expect, test } from "vitest";
import type * as S from "../src/api/shapes";
import { changeOf, differences, isEmpty, missing, moved, sameChange, withoutSeverity, withSeverity, workingOn, workingWith } from "../src/thresholds/editing";
import { score } from "../src/words/numbers";

const POLICY: S.PolicyWord = {
  version: "one",
  since: 0,
  thresholds: {
    client: [
      { severity: "medium", score: 1.5 },
      { severity: "high", score: 3 },
    ],
    organisation: [{ severity: "medium", score: 1.75 }],
  },
  cool_down_s: 86_400,
  suppressions: [],
  in_force: true,
};
const client = POLICY.thresholds["client"] ?? [];

describe("a working copy", () => {
  test("that nobody touched changes nothing", () => {
    expect(isEmpty(changeOf(POLICY, workingOn(POLICY)))).toBe(true);
  });

  test("changes only the levels that were touched, so that the others follow what is in force", () => {
    const working = workingOn(POLICY);
    const change = changeOf(POLICY, { ...working, thresholds: { ...working.thresholds, client: moved(client, "medium", 2) } });
    expect(Object.keys(change.thresholds ?? {})).toEqual(["client"]);
    expect(change).not.toHaveProperty("cool_down_s");
  });

  test("laid over another policy keeps what was changed and takes the rest from it", () => {
    const change = { thresholds: { client: moved(client, "medium", 2) } };
    const other: S.PolicyWord = { ...POLICY, version: "two", cool_down_s: 60, thresholds: { ...POLICY.thresholds, organisation: [{ severity: "high", score: 9 }] } };
    const working = workingWith(other, change);
    expect(working.thresholds["client"]?.[0]?.score).toBe(2);
    expect(working.thresholds["organisation"]).toEqual([{ severity: "high", score: 9 }]);
    expect(working.coolDown).toBe(60);
  });
});

test("what a draft says of the allow-list stays in it while its thresholds are edited", () => {
  const suppressions: S.Allowed[] = [{ kind: "client", id: "c-1", until: 1, reason: "a load test" }];
  const working = workingWith(POLICY, { suppressions });
  const change = changeOf(POLICY, { ...working, thresholds: { ...working.thresholds, client: moved(client, "medium", 2) } });
  expect(change.suppressions).toEqual(suppressions);
});

describe("a threshold", () => {
  test("stops at its neighbours, since scores must rise with the severity", () => {
    expect(moved(client, "medium", 99)).toEqual([
      { severity: "medium", score: 3 },
      { severity: "high", score: 3 },
    ]);
    expect(moved(client, "high", 0.8)[1]?.score).toBe(1.5);
  });

  test("of one more severity stands where its severity belongs", () => {
    expect(withSeverity(client, "critical").map((one) => one.severity)).toEqual(["medium", "high", "critical"]);
    expect(withSeverity(client, "low").map((one) => one.severity)).toEqual(["low", "medium", "high"]);
    const between = withSeverity(withoutSeverity(withSeverity(client, "critical"), "high"), "high");
    const scores = between.map((one) => one.score);
    expect(scores).toEqual([...scores].sort((a, b) => a - b));
  });

  test("is missing for the severities that have none", () => {
    expect(missing(client)).toEqual(["informational", "low", "critical"]);
  });
});

describe("two versions of a draft", () => {
  const mine: S.Change = { thresholds: { client: moved(client, "medium", 2) }, cool_down_s: 60 };
  const theirs: S.Change = { thresholds: { client: moved(client, "medium", 2.5), organisation: [{ severity: "medium", score: 3 }] } };

  test("differ in the lines in which they say another thing", () => {
    expect(differences(mine, theirs, score)).toEqual([
      { what: "client, medium", mine: "2.00", theirs: "2.50" },
      { what: "organisation, medium", mine: "as in force", theirs: "3.00" },
      { what: "cool-down", mine: "60 s", theirs: "as in force" },
    ]);
  });

  test("are the same when they say the same", () => {
    expect(sameChange(mine, structuredClone(mine))).toBe(true);
    expect(sameChange(mine, theirs)).toBe(false);
    expect(differences(mine, structuredClone(mine), score)).toEqual([]);
  });
});
