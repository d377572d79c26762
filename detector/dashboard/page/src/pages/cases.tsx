/** The queue: who waits for a verdict, the likeliest attack first; one case beside it. Made for the keyboard. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { useSearchParams } from "wouter-preact";
import { query, type Page } from "../api/client";
import { listen } from "../api/live";
import { useRead } from "../api/reading";
import { useMay } from "../api/session";
import type * as S from "../api/shapes";
import { CaseDetail } from "../cases/detail";
import { CaseItem } from "../cases/item";
import { VerdictForm } from "../cases/verdict";
import { Search, Switch } from "../parts/fields";
import { Pager, usePaging } from "../parts/pager";
import { Nothing, Shown } from "../parts/states";
import { Title } from "../parts/title";
import { several } from "../words/numbers";
import type { Answer } from "../words/kinds";

const LIMIT = 50;
const STATES: readonly (readonly [string, string])[] = [
  ["open", "Open"],
  ["held", "Held"],
  ["resolved", "Resolved"],
  ["all", "All"],
];

export function Cases() {
  const [search, setSearch] = useSearchParams();
  const analyst = useMay("analyst");
  const state = search.get("state") ?? "open";
  const text = search.get("search") ?? "";
  const shown = search.get("case");
  const paging = usePaging([state, text].join("\n"));
  const list = useRead<Page<S.CaseRow>>(`/cases${query({ state, search: text, cursor: paging.cursor, limit: LIMIT })}`, [], true);
  const [news, setNews] = useState(false);
  const [picked, setPicked] = useState<ReadonlySet<string>>(new Set());
  const [at, setAt] = useState(0);
  const [saying, setSaying] = useState<{ cases: readonly string[]; answer: Answer } | null>(null);
  const place = useRef<HTMLOListElement>(null);
  const rows = list.value?.items ?? [];

  // News wait behind a button: a queue that moves under one's hand gets the wrong case judged.
  useEffect(() => listen(["alerts"], () => setNews(true)), []);
  const set = useCallback(
    (name: string, value: string | null) =>
      setSearch(
        (before) => {
          const next = new URLSearchParams(before);
          if (value === null || value === "") next.delete(name);
          else next.set(name, value);
          return next;
        },
        { replace: true },
      ),
    [setSearch],
  );
  const onSearch = useCallback((to: string) => set("search", to), [set]);

  function refresh() {
    setNews(false);
    list.again();
  }

  function goTo(next: number) {
    const to = Math.min(Math.max(next, 0), rows.length - 1);
    setAt(to);
    place.current?.querySelectorAll<HTMLElement>("[data-case]")[to]?.focus();
  }

  function onKey(event: KeyboardEvent) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target instanceof HTMLInputElement) return;
    const row = rows[at];
    const deed = row && KEYS[event.key];
    if (!deed || ["Enter", " "].includes(event.key) && (event.target as HTMLElement).closest("a, button")) return;
    event.preventDefault();
    if (deed === "next") goTo(at + 1);
    else if (deed === "back") goTo(at - 1);
    else if (deed === "open") set("case", row.case_id);
    else if (deed === "pick") setPicked(toggled(picked, row.case_id));
    else if (analyst) setSaying({ cases: picked.size > 0 ? [...picked] : [row.case_id], answer: deed });
  }

  return (
    <>
      <Title name="Alerts">Alerts</Title>
      <div class={shown ? "desk has-case" : "desk"}>
        <section class="panel queue" aria-label="Queue of cases">
          <div class="bar">
            <Switch label="Which cases" value={state} options={STATES} onChoose={(to) => set("state", to)} />
            <Search label="Search by id" value={text} onSearch={onSearch} />
          </div>
          <div class="bar slim">
            <span class="muted news" role="status">
              {picked.size > 0 ? `${several(picked.size, "case")} picked` : news ? "There is news" : "Up to date"}
            </span>
            <button type="button" class={news ? "button small first" : "button small"} onClick={refresh}>
              Refresh
            </button>
            {picked.size > 0 && (
              <>
                <button type="button" class="button small" disabled={!analyst} onClick={() => setSaying({ cases: [...picked], answer: "attack" })}>
                  Judge them
                </button>
                <button type="button" class="button small quiet" onClick={() => setPicked(new Set())}>
                  Pick none
                </button>
              </>
            )}
          </div>
          <Shown of={list} tall={24}>
            {(page) =>
              page.items.length === 0 ? (
                <Empty state={state} text={text} />
              ) : (
                <>
                  <ol class="cases" ref={place} onKeyDown={onKey}>
                    {page.items.map((row, n) => (
                      <CaseItem
                        key={row.case_id}
                        of={row}
                        open={row.case_id === shown}
                        picked={picked.has(row.case_id)}
                        reachable={n === Math.min(at, rows.length - 1)}
                        onFocus={() => setAt(n)}
                        onOpen={() => set("case", row.case_id)}
                        onPick={() => setPicked(toggled(picked, row.case_id))}
                      />
                    ))}
                  </ol>
                  <Pager paging={paging} shown={page.items.length} total={page.total} next={page.next} limit={LIMIT} busy={list.stale} />
                </>
              )
            }
          </Shown>
          <p class="hint keys">
            In the list: <kbd>j</kbd> <kbd>k</kbd> down and up, <kbd>Enter</kbd> opens, <kbd>x</kbd> picks, <kbd>a</kbd> attack, <kbd>h</kbd> honest, <kbd>u</kbd> unsure.
          </p>
        </section>
        {shown && (
          <CaseDetail
            id={shown}
            onClose={() => {
              set("case", null);
              goTo(at);
            }}
            onSay={(cases, answer) => setSaying({ cases, answer })}
          />
        )}
      </div>
      {saying && (
        <VerdictForm
          cases={saying.cases}
          first={saying.answer}
          onClose={() => setSaying(null)}
          onSaid={() => {
            setSaying(null);
            setPicked(new Set());
            refresh();
          }}
        />
      )}
    </>
  );
}

const KEYS: Record<string, "next" | "back" | "open" | "pick" | Answer> = {
  j: "next",
  ArrowDown: "next",
  k: "back",
  ArrowUp: "back",
  Enter: "open",
  " ": "open",
  x: "pick",
  a: "attack",
  h: "honest",
  u: "unsure",
};

function toggled(of: ReadonlySet<string>, one: string): ReadonlySet<string> {
  const next = new Set(of);
  if (!next.delete(one)) next.add(one);
  return next;
}

function Empty({ state, text }: { state: string; text: string }) {
  if (text) return <Nothing title={`No case of “${text}” here`}>Look under “All”: it may be resolved or held.</Nothing>;
  if (state === "open") return <Nothing title="Nobody waits">Every case is judged or resolved. New ones appear here, and in your SIEM.</Nothing>;
  if (state === "held") return <Nothing title="None is held">Cases are held when many open at once: then the population moved, and not one client.</Nothing>;
  return <Nothing title="None">No case of this kind is kept.</Nothing>;
}
