import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { latest } from "../src/thresholds/latest";

/** A server that answers when told to. */
function server() {
  const asked: number[] = [];
  const answers: (() => void)[] = [];
  const got: number[] = [];
  const failed: unknown[] = [];
  const runner = latest<number, number>({
    send: (what) =>
      new Promise((resolve, reject) => {
        asked.push(what);
        answers.push(() => (what < 0 ? reject(new Error("refused")) : resolve(what)));
      }),
    got: (answer) => got.push(answer),
    failed: (error) => failed.push(error),
  });
  const answer = async () => {
    answers.shift()?.();
    await vi.advanceTimersByTimeAsync(0);
  };
  return { asked, got, failed, runner, answer };
}

describe("while one drags", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test("a burst becomes one request, for its last value", async () => {
    const { asked, runner } = server();
    for (let n = 1; n <= 50; n += 1) runner.ask(n);
    await vi.advanceTimersByTimeAsync(100);
    expect(asked).toEqual([50]);
  });

  test("one request is in flight, and after it the last that was asked meanwhile", async () => {
    const { asked, got, runner, answer } = server();
    runner.ask(1);
    await vi.advanceTimersByTimeAsync(100);
    runner.ask(2);
    runner.ask(3);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(asked).toEqual([1]);
    await answer();
    expect(asked).toEqual([1, 3]);
    await answer();
    expect(got).toEqual([1, 3]);
  });

  test("a refusal is told, and the next is asked all the same", async () => {
    const { asked, got, failed, runner, answer } = server();
    runner.ask(-1);
    await vi.advanceTimersByTimeAsync(100);
    runner.ask(2);
    await answer();
    await answer();
    expect(failed).toHaveLength(1);
    expect(asked).toEqual([-1, 2]);
    expect(got).toEqual([2]);
  });

  test("after the page is left nothing is asked and nothing is shown", async () => {
    const { asked, got, runner, answer } = server();
    runner.ask(1);
    await vi.advanceTimersByTimeAsync(100);
    runner.ask(2);
    runner.stop();
    await answer();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(asked).toEqual([1]);
    expect(got).toEqual([]);
  });
});
