/** Many asks, few requests: one in flight, and after it the last that was asked meanwhile. */

export interface Latest<A> {
  ask: (what: A) => void;
  stop: () => void;
}

interface Given<A, R> {
  send: (what: A, signal: AbortSignal) => Promise<R>;
  got: (answer: R, what: A) => void;
  failed: (error: unknown) => void;
  /** How long to wait for more before the first is sent. */
  restMs?: number;
}

export function latest<A, R>({ send, got, failed, restMs = 40 }: Given<A, R>): Latest<A> {
  let waiting: { what: A } | null = null;
  let timer: ReturnType<typeof setTimeout> | null = null;
  let flying = false;
  const gone = new AbortController();

  function start(): void {
    timer = null;
    if (!waiting || flying) return;
    const { what } = waiting;
    waiting = null;
    flying = true;
    send(what, gone.signal)
      .then(
        (answer) => {
          // An answer that was overtaken is still newer than what is shown: it is shown, too.
          if (!gone.signal.aborted) got(answer, what);
        },
        (error: unknown) => {
          if (!gone.signal.aborted) failed(error);
        },
      )
      .finally(() => {
        flying = false;
        if (waiting && !gone.signal.aborted) start();
      });
  }

  return {
    ask(what) {
      waiting = { what };
      if (!flying && timer === null) timer = setTimeout(start, restMs);
    },
    stop() {
      gone.abort();
      if (timer !== null) clearTimeout(timer);
      waiting = null;
    },
  };
}
