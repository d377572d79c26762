/** What a change would have done: asked for as it changes, and again when there is news. */
import { useEffect, useRef, useState } from "preact/hooks";
import { ask, problemIn } from "../api/client";
import { listen } from "../api/live";
import type * as S from "../api/shapes";
import { latest, type Latest } from "./latest";

export interface Previewed {
  value: S.Preview | undefined;
  problem: S.Problem | undefined;
  busy: boolean;
}

const LISTED = 200;

export function usePreview(change: S.Change | null, since: number | null): Previewed {
  const [shown, setShown] = useState<Previewed>({ value: undefined, problem: undefined, busy: true });
  const runner = useRef<Latest<S.Ask> | null>(null);
  const [turn, setTurn] = useState(0);
  const asked = change === null ? null : JSON.stringify({ change, since, until: null, listed: LISTED } satisfies S.Ask);
  const last = useRef(asked);
  last.current = asked;

  useEffect(() => {
    const made = latest<S.Ask, S.Preview>({
      send: (body, signal) => ask<S.Preview>("POST", "/preview", { body, signal }),
      got: (value, what) => setShown({ value, problem: undefined, busy: JSON.stringify(what) !== last.current }),
      failed: (error) => setShown((before) => ({ ...before, problem: problemIn(error), busy: false })),
    });
    runner.current = made;
    return () => made.stop();
  }, []);

  useEffect(() => listen(["tape", "policy", "alerts"], () => setTurn((n) => n + 1)), []);

  useEffect(() => {
    if (asked === null) return;
    setShown((before) => (before.busy ? before : { ...before, busy: true }));
    runner.current?.ask(JSON.parse(asked) as S.Ask);
  }, [asked, turn]);

  return shown;
}
