/** One case: what was alerted, why, what triage makes of it, and what people said. */
import { useEffect, useRef } from "preact/hooks";
import { get, query, type Page } from "../api/client";
import { useRead } from "../api/reading";
import { useMay } from "../api/session";
import type * as S from "../api/shapes";
import { EntityLink, Level, Time, Verdict } from "../parts/marks";
import { Shown } from "../parts/states";
import { Behind, Table } from "../parts/table";
import { likely, oneIn, score, several, signed } from "../words/numbers";
import { ANSWERS, answer, capital, horizon, kind, type Answer } from "../words/kinds";
import { ofLog, ofWall } from "../words/times";

interface Given {
  id: string;
  onClose: () => void;
  onSay: (cases: readonly string[], answer: Answer) => void;
}

export function CaseDetail({ id, onClose, onSay }: Given) {
  const view = useRead<S.CaseView>(`/cases/${encodeURIComponent(id)}`, ["alerts", "tape"]);
  const analyst = useMay("analyst");
  const self = useRef<HTMLElement>(null);
  useEffect(() => self.current?.focus({ preventScroll: window.innerWidth > 1100 }), [id]);
  return (
    <section
      class="panel detail"
      ref={self}
      tabIndex={-1}
      aria-label="Case"
      onKeyDown={(event) => {
        if (event.key === "Escape") onClose();
      }}
    >
      <Shown of={view} tall={24}>
        {(of) => (
          <>
            <header class="detail-head">
              <h2>
                {capital(kind(of.row.kind))}: <EntityLink of={of.row.level} id={of.row.id} />
              </h2>
              <button type="button" class="button small" onClick={onClose}>
                Close
              </button>
            </header>
            <p class="detail-line">
              <Level of={of.row.severity} />
              <span>
                score <strong>{score(of.row.score)}</strong> after {several(of.row.queries, "query", "queries")}
              </span>
              <span class="muted">
                opened <Time at={ofLog(of.row.opened_at)} />, last <Time at={ofLog(of.row.at)} />
              </span>
            </p>
            <Judge of={of} analyst={analyst} onSay={(to) => onSay([of.row.case_id], to)} />
            <Alerts of={of.alerts} />
            <Triage of={of} />
            {of.members.length > 0 && (
              <>
                <h3>{several(of.members.length, "account")} of it</h3>
                {analyst && (
                  <p>
                    <button type="button" class="button small" onClick={() => void withMembers(of).then((cases) => onSay(cases, "attack"))}>
                      Judge it and the open cases of its accounts
                    </button>
                  </p>
                )}
                <ul class="hands">
                  {of.members.map((one) => (
                    <li key={one.id}>
                      <EntityLink of={one.level} id={one.id} />
                    </li>
                  ))}
                </ul>
              </>
            )}
          </>
        )}
      </Shown>
    </section>
  );
}

const MOST = 1_000; // cases of one verdict, and of one page of the list

/** The case, and those of its accounts that wait, too. */
async function withMembers(of: S.CaseView): Promise<string[]> {
  const open = await get<Page<S.CaseRow>>(`/cases${query({ state: "open", limit: MOST })}`);
  const members = new Set(of.members.map((one) => `${one.level} ${one.id}`));
  const theirs = open.items.filter((one) => members.has(`${one.level} ${one.id}`)).map((one) => one.case_id);
  return [of.row.case_id, ...theirs.filter((id) => id !== of.row.case_id)].slice(0, MOST);
}

function Judge({ of, analyst, onSay }: { of: S.CaseView; analyst: boolean; onSay: (answer: Answer) => void }) {
  return (
    <div class="judge">
      {of.verdicts.length > 0 && (
        <ul class="said">
          {[...of.verdicts].reverse().map((one) => (
            <li key={one.said_at}>
              <Verdict of={one.answer} /> {one.by}, <Time at={ofWall(one.said_at)} />
              {one.expires_at !== null && (
                <>
                  , until <Time at={ofWall(one.expires_at)} />
                </>
              )}
              {one.note && <p>{one.note}</p>}
            </li>
          ))}
        </ul>
      )}
      <div class="actions" role="group" aria-label="Your verdict">
        {ANSWERS.map((one) => (
          <button key={one} type="button" class="button small" disabled={!analyst} onClick={() => onSay(one)}>
            {capital(answer(one))}
          </button>
        ))}
        {!analyst && <span class="muted">Verdicts need the role analyst.</span>}
      </div>
    </div>
  );
}

function Alerts({ of }: { of: readonly S.Alert[] }) {
  const last = of[of.length - 1];
  if (!last) return null;
  return (
    <>
      <h3>Why</h3>
      <ul class="sentences">
        {last.reasons.map((one) => (
          <li key={one.signal}>
            {one.text} <span class="muted">({one.signal}, {signed(one.evidence_db)} dB)</span>
          </li>
        ))}
      </ul>
      <p class="muted">
        {last.promise.share === null || last.promise.share === undefined
          ? "Nothing is promised for this threshold."
          : `At most ${oneIn(last.promise.share)} honest entities is named by this threshold within ${horizon(last.promise.horizon)}${last.promise.state === "measured" ? "" : `, ${last.promise.state}`}.`}
        {last.techniques.length > 0 && <> MITRE ATLAS: {last.techniques.join(", ")}.</>}
      </p>
      <h3>{several(of.length, "alert")}</h3>
      <Table
        name="Alerts of the case"
        rows={of}
        id={(row) => row.id}
        columns={[
          { head: "At", cell: (row) => <Time at={new Date(row.at)} /> },
          { head: "What", cell: (row) => row.action },
          { head: "Severity", cell: (row) => <Level of={row.severity} /> },
          { head: "Score", num: true, cell: (row) => score(row.score) },
          { head: "Query", cell: (row) => <span class="mono">{row.query_id}</span> },
        ]}
      />
    </>
  );
}

function Triage({ of }: { of: S.CaseView }) {
  return (
    <>
      <h3>What triage makes of it</h3>
      {of.row.probability === null ? (
        <p class="muted">No estimate: it was taught by {several(of.taught_by, "verdict")}, which is too few of one answer or the other.</p>
      ) : (
        <>
          <p>
            {likely(of.row.probability)} likely an attack, taught by {several(of.taught_by, "verdict")}. It orders the queue, and nothing that decides knows it.
          </p>
          <Behind of="What speaks for and against, in decibans">
            <Table
              name="What triage goes by"
              rows={of.because}
              id={(row) => row.name}
              columns={[
                { head: "Number", cell: (row) => <span class="mono">{row.name}</span> },
                { head: "Decibans", num: true, cell: (row) => signed(row.decibans) },
              ]}
            />
          </Behind>
        </>
      )}
    </>
  );
}
