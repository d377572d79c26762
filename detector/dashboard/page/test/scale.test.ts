import { describe, expect, test } from "vitest";
import { countTicks, placed, scoreAt, snapped, stepped, ticks } from "../src/charts/scale";

describe("the tape's grid", () => {
  test("is 1/32 up to 4, and a sixteenth of a factor of e above", () => {
    expect(snapped(1.6)).toBe(1.59375);
    expect(stepped(1.59375, 1)).toBe(1.625);
    expect(stepped(4, 16)).toBeCloseTo(4 * Math.E, 5);
  });

  test("is where a snapped score stays", () => {
    for (let score = 0.75; score < 500; score *= 1.013) expect(snapped(snapped(score))).toBe(snapped(score));
  });

  test("leads back by as many steps as it led away, across 4 too", () => {
    for (const score of [0.75, 3.96875, 4, 12, 200].map(snapped)) expect(stepped(stepped(score, 5), -5)).toBeCloseTo(score, 5);
  });
});

test("the drawn scale rises, has no kink at 4, and leads back", () => {
  for (const score of [-1, 0, 0.75, 3.99, 4, 4.01, 60, 900]) expect(scoreAt(placed(score))).toBeCloseTo(score, 9);
  expect(placed(4.001) - placed(4)).toBeCloseTo(placed(4) - placed(3.999), 5);
});

test("ticks are few enough to be read", () => {
  expect(ticks(0, 4_000).length).toBeLessThanOrEqual(13);
  expect(countTicks(100_000).length).toBeLessThanOrEqual(7);
});
