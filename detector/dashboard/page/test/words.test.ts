import { describe, expect, test } from "vitest";
import { bytes, count, likely, oneIn, percent, score, shareOf, span } from "../src/words/numbers";
import { horizon, level } from "../src/words/kinds";
import { ofLog, ofTyped, typed, utc } from "../src/words/times";

describe("a share", () => {
  test.each([
    [0.002, "1 in 500"],
    [0.01, "1 in 100"],
    [1 / 421, "1 in 421"],
    [0.25, "1 in 4"],
    [0.3, "1 in 3.3"],
    [1e-5, "1 in 100,000"],
  ])("%f is said as %s", (share, said) => expect(oneIn(share)).toBe(said));

  test.each([
    ["1 in 500", 0.002],
    ["1/500", 0.002],
    ["1 in 1,000", 0.001],
    ["500", 0.002],
    ["0.2%", 0.002],
    ["0.2 %", 0.002],
    [".5%", 0.005],
    ["0.002", 0.002],
    ["2 in 1000", 0.002],
  ])("may be typed as “%s”", (text, share) => expect(shareOf(text)).toBeCloseTo(share, 12));

  test.each(["", "nothing", "0", "1", "100%", "150%", "-1", "5 in 3", "1 in 0", "1e3"])("is not what “%s” says", (text) => expect(shareOf(text)).toBeNull());

  test("that was said can be typed again", () => {
    for (const share of [0.002, 0.01, 1 / 421, 0.25]) expect(shareOf(oneIn(share))).toBeCloseTo(share, 4);
  });

  test("as percent has no more digits than it needs", () => {
    expect([0.01, 0.0024, 0.5, 1, 0, 1e-7].map(percent)).toEqual(["1%", "0.24%", "50%", "100%", "0%", "<0.001%"]);
  });

  test("that was estimated is never said to be certain", () => {
    expect([1, 0.999, 0.62, 0.0001].map(likely)).toEqual([">99%", ">99%", "62%", "<1%"]);
  });
});

test("a score keeps the digits in which the tape's grid moves", () => {
  expect([1.59375, 12.34, 256.7, null].map(score)).toEqual(["1.59", "12.3", "257", "–"]);
});

test("counts, sizes and spans are said in the largest unit that fits", () => {
  expect(count(1_234_567)).toBe("1,234,567");
  expect([512, 1_500, 734_003_200].map(bytes)).toEqual(["512 bytes", "1.5 kB", "734 MB"]);
  expect([0.2, 45, 600, 7_200, 86_400 * 9].map(span)).toEqual(["under 1 s", "45 s", "10 min", "2 h", "9 days"]);
});

test("log time is microseconds, and UTC stands behind what is shown", () => {
  expect(utc(ofLog(1_767_600_563_579_242))).toBe("2026-01-05 08:09:23 UTC");
});

test("what a date field shows is what it gives back, to the minute", () => {
  const at = new Date(Date.UTC(2026, 0, 5, 8, 9));
  expect(ofTyped(typed(at))?.getTime()).toBe(at.getTime());
  expect(ofTyped("")).toBeNull();
});

test("levels and horizons are said in words", () => {
  expect([level("client", true), level("organisation", true), level("client:automation", true)]).toEqual(["clients", "organisations", "clients declared as automation"]);
  expect(["30d", "1d", "12h", "log"].map(horizon)).toEqual(["30 days", "1 day", "12 hours", "the span of the log"]);
});
