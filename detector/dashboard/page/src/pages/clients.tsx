/** Everybody who asks: searched and sorted by the server, a page at a time. */
import { useCallback } from "preact/hooks";
import { useSearchParams } from "wouter-preact";
import { query, type Page } from "../api/client";
import { useRead } from "../api/reading";
import type * as S from "../api/shapes";
import { Choose, Search } from "../parts/fields";
import { EntityLink, Level, Time, Verdict } from "../parts/marks";
import { Pager, usePaging } from "../parts/pager";
import { Nothing, Shown } from "../parts/states";
import { Table } from "../parts/table";
import { Title } from "../parts/title";
import { count, NONE, percent, score } from "../words/numbers";
import { capital, level as said } from "../words/kinds";
import { ofLog } from "../words/times";

const LIMIT = 50;
const SORTS: readonly (readonly [string, string])[] = [
  ["score", "Score, highest first"],
  ["exposure", "Exposure, highest first"],
  ["queries", "Queries, most first"],
  ["last", "Last seen, latest first"],
];

export function Clients() {
  const [search, setSearch] = useSearchParams();
  const overview = useRead<S.Overview>("/overview");
  const level = search.get("level") ?? "client";
  const text = search.get("search") ?? "";
  const sort = search.get("sort") ?? "score";
  const paging = usePaging([level, text, sort].join("\n"));
  const set = useCallback(
    (name: string, value: string) =>
      setSearch(
        (before) => {
          const next = new URLSearchParams(before);
          if (value === "") next.delete(name);
          else next.set(name, value);
          return next;
        },
        { replace: true },
      ),
    [setSearch],
  );
  const onSearch = useCallback((to: string) => set("search", to), [set]);
  const list = useRead<Page<S.EntityRow>>(`/entities${query({ level, search: text, sort, cursor: paging.cursor, limit: LIMIT })}`, [], true);

  return (
    <>
      <Title name="Clients">Clients</Title>
      <section class="panel">
        <div class="bar">
          <Search label="Search by id" value={text} onSearch={onSearch} />
          <Choose
            label="Level"
            value={level}
            options={(overview.value?.levels ?? [{ level: "client" }]).map((one) => [one.level, capital(said(one.level, true))] as const)}
            onChoose={(to) => set("level", to)}
          />
          <Choose label="Order" value={sort} options={SORTS} onChoose={(to) => set("sort", to)} />
          <button type="button" class="button" onClick={list.again}>
            Refresh
          </button>
        </div>
        <Shown of={list} tall={24}>
          {(page) =>
            page.items.length === 0 ? (
              <Nothing title={text ? `Nobody's id contains “${text}”` : `No ${said(level, true)} yet`}>
                {text ? "Ids are searched as the log writes them, or as the pseudonyms that stand for them." : "They appear here when they have asked."}
              </Nothing>
            ) : (
              <>
                <Table
                  name={`${capital(said(level, true))}, by ${sort}`}
                  rows={page.items}
                  id={(row) => row.id}
                  sorted={sort}
                  onSort={(to) => set("sort", to)}
                  columns={[
                    { head: "Entity", cell: (row) => <EntityLink of={row.level} id={row.id} quiet /> },
                    { head: "Score now", num: true, sort: "score", cell: (row) => (row.score === null ? <span class="muted">low</span> : score(row.score)) },
                    { head: "Highest", num: true, cell: (row) => score(row.peak) },
                    { head: "Exposure", num: true, sort: "exposure", cell: (row) => (row.clone === null ? NONE : percent(row.clone)) },
                    { head: "Queries", num: true, sort: "queries", cell: (row) => count(row.queries) },
                    { head: "Last seen", sort: "last", cell: (row) => <Time at={ofLog(row.last_at)} /> },
                    { head: "Case", cell: (row) => row.severity && <Level of={row.severity} /> },
                    { head: "Verdict", cell: (row) => <Verdict of={row.said} /> },
                    { head: "Strongest signal", cell: (row) => <span class="mono">{row.strongest}</span> },
                  ]}
                />
                <Pager paging={paging} shown={page.items.length} total={page.total} next={page.next} limit={LIMIT} busy={list.stale} />
              </>
            )
          }
        </Shown>
      </section>
    </>
  );
}
