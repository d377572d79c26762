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
  const [turn, setTurn] = useState(0);
  const again = useCallback(() => setTurn((n) => n + 1), []);
  const named = topics.join();
  const shown = useRef(path);
  shown.current = path;

  useEffect(() => {
    if (path === null) return;
    const gone = new AbortController();
    get<T>(path, gone.signal).then(
      (value) => setKept({ path, value }),
      (error: unknown) => {
        if (gone.signal.aborted) return;
        const problem = problemIn(error);
        // What was read before stays in sight, with the problem beside it.
        setKept((before) => (before.path === path && before.value !== undefined ? { ...before, problem } : { path, problem }));
      },
    );
    return () => gone.abort();
  }, [path, turn]);

  useEffect(() => (named ? listen(named.split(",") as Topic[], again) : undefined), [named, again]);

  const fits = kept.path === path;
  return {
    value: fits || keep ? kept.value : undefined,
    problem: fits ? kept.problem : undefined,
    stale: !fits && path !== null,
    again,
  };
}
