/** What a page reads: kept while it is read again, so that nothing jumps when it arrives. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { get, problemIn } from "./client";
import { listen, type Topic } from "./live";
import type * as S from "./shapes";

export interface Read<T> {
  value: T | undefined;
  problem: S.Problem | undefined;
  /** The value is of another path than the one asked for now. */
  stale: boolean;
  again: () => void;
}

interface Kept<T> {
  path: string | null;
  value?: T;
  problem?: S.Problem;
}

/** keep: show the value of the path before until that of the new one is there (pages of a list). */
export function useRead<T>(path: string | null, topics: readonly Topic[] = [], keep = false): Read<T> {
  const [kept, setKept] = useState<Kept<T>>({ path: null });
  const starter = useRef<() => void>(() => undefined);
  const again = useCallback(() => starter.current(), []);
  const named = topics.join();

  useEffect(() => {
    if (path === null) return undefined;
    const gone = new AbortController();
    let flying = false;
    let more = false;

    // News never stop a request that is under way: where they come faster than answers, nothing would ever be shown.
    function start(): void {
      if (flying) {
        more = true;
        return;
      }
      flying = true;
      get<T>(path as string, gone.signal)
        .then(
          (value) => setKept({ path, value }),
          (error: unknown) => {
            if (!gone.signal.aborted) setKept((before) => failed(before, path as string, problemIn(error)));
          },
        )
        .finally(() => {
          flying = false;
          if (!more || gone.signal.aborted) return;
          more = false;
          start();
        });
    }

    starter.current = start;
    start();
    const deaf = named ? listen(named.split(",") as Topic[], start) : () => undefined;
    return () => {
      gone.abort();
      deaf();
    };
  }, [path, named]);

  const fits = kept.path === path;
  return {
    value: fits || keep ? kept.value : undefined,
    problem: fits ? kept.problem : undefined,
    stale: !fits && path !== null,
    again,
  };
}

/** What was read before stays in sight, with the problem beside it. */
function failed<T>(before: Kept<T>, path: string, problem: S.Problem): Kept<T> {
  return before.path === path && before.value !== undefined ? { ...before, problem } : { path, problem };
}
