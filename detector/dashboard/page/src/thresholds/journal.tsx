/** The policies that held, the newest first; an admin may bring one back. */
import { useState } from "preact/hooks";
import { ask } from "../api/client";
import { useMay } from "../api/session";
import type * as S from "../api/shapes";
import { AskWhy } from "../parts/dialog";
import { Level, Time } from "../parts/marks";
import { Table } from "../parts/table";
import { score, span } from "../words/numbers";
import { level } from "../words/kinds";
import { ofLog } from "../words/times";

export function Journal({ policies, onDone }: { policies: readonly S.PolicyWord[]; onDone: () => void }) {
  const admin = useMay("admin");
  const [back, setBack] = useState<S.PolicyWord | null>(null);
  return (
    <section class="panel" aria-labelledby="journal">
      <h2 id="journal">Policies that held</h2>
      <Table
        name="Policies that held"
        rows={policies}
        id={(_, at) => at}
        columns={[
          { head: "Version", cell: (row) => <span class="mono">{row.version}</span> },
          { head: "From", cell: (row) => (row.since > 0 ? <Time at={ofLog(row.since)} /> : "the beginning") },
          { head: "Thresholds", cell: (row) => <Thresholds of={row} /> },
          { head: "Cool-down", num: true, cell: (row) => span(row.cool_down_s) },
          {
            head: "",
            cell: (row) =>
              row.in_force ? (
                <span class="state is-applied">in force</span>
              ) : (
                <button type="button" class="button small" disabled={!admin} title={admin ? "" : "Rolling back needs the role admin"} onClick={() => setBack(row)}>
                  Roll back to it
                </button>
              ),
          },
        ]}
      />
      {back && (
        <AskWhy
          title={`Roll back to ${back.version}`}
          verb="Roll back"
          onClose={() => setBack(null)}
          onDo={async (why) => {
            await ask<S.Draft>("POST", `/policy/${encodeURIComponent(back.version)}/rollback`, { body: { why } });
            onDone();
          }}
        >
          <p>Its thresholds, cool-down and allow-list hold again, as a new entry of the journal and of the audit.</p>
          <Thresholds of={back} />
        </AskWhy>
      )}
    </section>
  );
}

function Thresholds({ of }: { of: S.PolicyWord }) {
  return (
    <ul class="changes">
      {Object.entries(of.thresholds).map(([name, thresholds]) => (
        <li key={name}>
          <span class="muted">{level(name)}:</span>{" "}
          {thresholds.length === 0 && <span class="muted">nobody is alerted on</span>}
          {thresholds.map((one) => (
            <span key={one.severity} class="change-one">
              <Level of={one.severity} /> {score(one.score)}
            </span>
          ))}
        </li>
      ))}
    </ul>
  );
}
