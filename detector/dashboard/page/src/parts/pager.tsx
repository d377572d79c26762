/** Through a list in pages: the server gives a cursor for what follows, the page remembers those it came by. */
import { useState } from "preact/hooks";
import { count } from "../words/numbers";

export interface Paging {
  cursor: string | null;
  at: number;
  forth: (next: string) => void;
  back: () => void;
}

/** of: what the list is of; another one begins at its first page. */
export function usePaging(of: string): Paging {
  const [kept, setKept] = useState<{ of: string; cursors: (string | null)[] }>({ of, cursors: [null] });
  const cursors = kept.of === of ? kept.cursors : [null];
  return {
    cursor: cursors[cursors.length - 1] ?? null,
    at: cursors.length - 1,
    forth: (next) => setKept({ of, cursors: [...cursors, next] }),
    back: () => setKept({ of, cursors: cursors.length > 1 ? cursors.slice(0, -1) : cursors }),
  };
}

interface Given {
  paging: Paging;
  shown: number;
  total: number;
  next: string | null;
  limit: number;
  busy: boolean;
}

export function Pager({ paging, shown, total, next, limit, busy }: Given) {
  const first = paging.at * limit + 1;
  return (
    <nav class="pager" aria-label="Pages of the list">
      <span class="pager-said" role="status">
        {total === 0 ? "None" : `${count(first)} to ${count(first + shown - 1)} of ${count(total)}`}
      </span>
      <button type="button" class="button" disabled={paging.at === 0 || busy} onClick={paging.back}>
        Back
      </button>
      <button type="button" class="button" disabled={next === null || busy} onClick={() => next !== null && paging.forth(next)}>
        Next
      </button>
    </nav>
  );
}
