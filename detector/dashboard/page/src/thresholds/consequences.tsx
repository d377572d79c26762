/** What a change would have done, beside what was done: the right half of the thresholds page. */
import type { ComponentChildren } from "preact";
import type * as S from "../api/shapes";
import { AlertsADay, sum } from "../charts/days";
import { EntityLink, Figure, Level, Time, Verdict } from "../parts/marks";
import { Failed, Nothing } from "../parts/states";
import { Table } from "../parts/table";
import { count, NONE, oneIn, percent, score, several, signed } from "../words/numbers";
import { level, sentence, SEVERITIES } from "../words/kinds";
import { ofLog } from "../words/times";
import type { Previewed } from "./previewing";

export function Consequences({ of, changed }: { of: Previewed; changed: boolean }) {
  const now = of.value;
  if (!now) {
    return of.problem ? <Failed problem={of.problem} /> : <div class="waiting tall-24" role="status"><span class="unseen">Computing what this would have done</span></div>;
  }
  return (
    <div class="consequences" aria-busy={of.busy}>
      {of.problem && <Failed problem={of.problem} />}
      <dl class="figures">
        <Figure name="Alerts in the span" note={change(sum(now.would), sum(now.was), changed)}>
          <span data-figure="would">{count(sum(now.would))}</span>
        </Figure>
        {(now.held_was > 0 || now.held_would > 0) && (
          <Figure name="Held in storms" note={`${several(now.storms_would, "storm")}; was ${count(now.held_was)}`}>
            <span data-figure="held">{count(now.held_would)}</span>
          </Figure>
        )}
        <Figure name="Cases a day" note={`over ${days(now.history_days)}`}>
          {now.expected_per_day === null ? NONE : Number(now.expected_per_day.toPrecision(3))}
        </Figure>
        <Figure name="Above it now" note="entities">
          <span data-figure="above">{count(sum(now.above))}</span>
        </Figure>
        <Figure name="Judged attacks kept" note={now.judged.lost > 0 ? <strong class="bad">{count(now.judged.lost)} lost</strong> : now.judged.gained > 0 ? `${count(now.judged.gained)} gained` : "none lost"}>
          {count(now.judged.kept)} of {count(now.judged.kept + now.judged.lost)}
        </Figure>
        <Figure name="Verdict precision" note={`was ${percent(now.judged.precision_was)}`}>
          {percent(now.judged.precision_would)}
        </Figure>
      </dl>
      {now.storms_would > now.storms_was && (
        <p class="warn" role="note">
          Under this change the population would have moved {now.storms_would === 1 ? "once" : `${count(now.storms_would)} times`}: so many would have crossed at once that{" "}
          {several(now.held_would, "alert")} would have been held, listed and not sent.
        </p>
      )}
      <AlertsADay days={now.days} />
      <BySeverity of={now} />
      <Flips name="Would be alerted on as well" rows={now.flips_in} total={now.flips_in_total} side="in">
        Nobody is alerted on under this change who was not before.
      </Flips>
      <Flips name="Would not be alerted on any more" rows={now.flips_out} total={now.flips_out_total} side="out">
        Everybody who was alerted on would be again.
      </Flips>
      <p class="hint seen-history">
        Computed by the decision that production runs, on the scores of {several(now.entities, "entity", "entities")} at {several(now.points, "point")} of the tape
        {now.since !== null && now.until !== null && (
          <>
            {" "}
            from <Time at={ofLog(now.since)} /> to <Time at={ofLog(now.until)} />
          </>
        )}
        , in <span class="took">{now.took_ms < 10 ? now.took_ms.toFixed(1) : now.took_ms.toFixed(0)} ms</span>. What came before is not kept and not counted.
      </p>
    </div>
  );
}

/** The same in one sentence, under the hand that drags: where the page is narrow the rest is further down. */
export function InAWord({ of, changed }: { of: S.Preview | undefined; changed: boolean }) {
  return (
    <p class="in-a-word" role="status">
      {of && (
        <>
          <strong>{several(sum(of.would), "alert")}</strong> in {days(of.history_days)}
          {sum(of.would) !== sum(of.was) && <> instead of {count(sum(of.was))}</>}
          {of.held_would > 0 && <>, and {count(of.held_would)} held in {several(of.storms_would, "storm")}</>}
          {changed && (
            <>
              ; {several(of.flips_in_total, "entity", "entities")} more, {count(of.flips_out_total)} fewer;{" "}
              {of.judged.lost > 0 ? <strong class="bad">{several(of.judged.lost, "judged attack")} lost</strong> : "no judged attack lost"}
            </>
          )}
          .
        </>
      )}
    </p>
  );
}

function change(would: number, was: number, changed: boolean): string {
  return changed || would !== was ? `was ${count(was)} (${signed(would - was, 0)})` : "as in force now";
}

function days(of: number): string {
  return of < 1 ? "less than a day" : several(Math.round(of), "day");
}

function BySeverity({ of }: { of: S.Preview }) {
  const rows = SEVERITIES.filter((one) => of.was[one] || of.would[one]).reverse();
  if (rows.length === 0) return null;
  return (
    <Table
      name="Alerts by severity"
      rows={rows}
      id={(row) => row}
      columns={[
        { head: "Severity", cell: (row) => <Level of={row} /> },
        { head: "In force now", num: true, cell: (row) => count(of.was[row] ?? 0) },
        { head: "Under this change", num: true, cell: (row) => count(of.would[row] ?? 0) },
      ]}
    />
  );
}

interface Given {
  name: string;
  rows: readonly S.Flip[];
  total: number;
  side: "in" | "out";
  children: ComponentChildren;
}

function Flips({ name, rows, total, side, children }: Given) {
  return (
    <details class="flips" open={total > 0 && total <= 25} data-side={side}>
      <summary>
        {name} <span class="tally">{count(total)}</span>
      </summary>
      {total === 0 ? (
        <Nothing title="Nobody">{children}</Nothing>
      ) : (
        <>
          <Table
            name={name}
            rows={rows}
            id={(row) => `${row.level} ${row.id}`}
            columns={[
              { head: "Entity", cell: (row) => <EntityLink of={row.level} id={row.id} /> },
              { head: "Severity", cell: (row) => <Level of={row.severity} /> },
              { head: "Score", num: true, cell: (row) => score(row.score) },
              { head: "At", cell: (row) => <Time at={ofLog(row.at)} />, wide: true },
              { head: "Verdict", cell: (row) => <Verdict of={row.said} /> },
            ]}
          />
          {rows.length < total && <p class="hint">The {count(rows.length)} with the highest scores of {count(total)}.</p>}
        </>
      )}
    </details>
  );
}

/** What stands behind each threshold: the share with its interval, and what has to be said beside it. */
export function Promises({ of, inForce }: { of: readonly S.Promised[]; inForce: S.LevelWord }) {
  const mine = of.filter((one) => one.level === inForce.level);
  const common = (mine[0]?.words ?? []).filter((word) => mine.length > 1 && mine.every((one) => one.words.includes(word)));
  return (
    <section class="promises" aria-label="What is promised">
      <h3>What is promised</h3>
      {inForce.share === null && <p class="warn">Nothing is promised for {level(inForce.level, true)}. {sentence(inForce.note)}</p>}
      {mine.map((one) => (
        <div key={one.severity} class={one.supported ? "promise" : "promise is-unsupported"}>
          <Level of={one.severity} />
          {one.share === null ? (
            <p>Nothing can be said about honest entities at this score.</p>
          ) : (
            <p>
              By the calibration at most <strong>{oneIn(one.share)}</strong> honest {level(one.level, true)} ({percent(one.share)}) passes it within the horizon, on average
              {one.low !== null && one.high !== null && (
                <>
                  ; really between {percent(one.low)} and {percent(one.high)} <span class="muted">(Beta law, 90%)</span>
                </>
              )}
              .
            </p>
          )}
          <Warnings of={one.words.filter((word) => !common.includes(word))} />
        </div>
      ))}
      <Warnings of={common} />
    </section>
  );
}

function Warnings({ of }: { of: readonly string[] }) {
  return (
    <>
      {of.map((word) => (
        <p key={word} class="warn">
          {word}
        </p>
      ))}
    </>
  );
}
