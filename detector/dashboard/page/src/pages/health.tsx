/** Whether detection itself is well: what it reads, what it could not read, and whether alerts arrive. */
import { useRead } from "../api/reading";
import type * as S from "../api/shapes";
import { Figure, Time } from "../parts/marks";
import { Nothing, Shown } from "../parts/states";
import { Table } from "../parts/table";
import { Title } from "../parts/title";
import { bytes, count, NONE, percent, several, span } from "../words/numbers";
import { ofLog, ofWall } from "../words/times";

export function Health() {
  const health = useRead<S.HealthWord>("/health", ["health"]);
  return (
    <>
      <Title name="Health">Health</Title>
      <Shown of={health} tall={24}>{(of) => <All of={of} />}</Shown>
    </>
  );
}

function All({ of }: { of: S.HealthWord }) {
  const letters = of.letters.reduce((all, one) => all + one.count, 0);
  const well = of.reachable && of.reasons.length === 0;
  return (
    <>
      <div class={well ? "verdict-line is-well" : "verdict-line is-ill"} role="status">
        <strong>{of.reachable ? `The detector is ${of.state === "ok" ? "well" : of.state}` : "The detector does not answer"}</strong>
        {of.reasons.map((reason) => (
          <p key={reason}>{reason}</p>
        ))}
        {!of.reachable && <p>What stands below was read from its store. Start `querywarden run`, or see whether it still runs.</p>}
      </div>
      <dl class="figures panel">
        <Figure name="Behind the log" note={of.watermark_at === null ? "" : <>read up to <Time at={ofLog(of.watermark_at)} /></>}>
          {of.lag_s === null ? NONE : span(of.lag_s)}
        </Figure>
        <Figure name="Queries a second" note={`${count(of.queries)} in all`}>
          {of.rate === null ? NONE : of.rate.toFixed(1)}
        </Figure>
        <Figure name="Records" note={`${count(letters)} of them dead letters`}>
          {count(of.records)}
        </Figure>
        <Figure name="Without identity" note="they are judged as nobody">
          {percent(of.without_identity)}
        </Figure>
        <Figure name="State" note={`${count(of.entities)} entities, ${several(of.tape_points, "point")} of the tape`}>
          {bytes(of.store_bytes)}
        </Figure>
        <Figure name="Version" note={of.seen_at === null ? "" : <>seen <Time at={ofWall(of.seen_at)} how="second" /></>}>
          {of.version || NONE}
        </Figure>
      </dl>
      <div class="halves">
        <section class="panel" aria-labelledby="sinks">
          <h2 id="sinks">Where alerts go</h2>
          {of.sinks.length === 0 ? (
            <Nothing title="No sink is known">Either none is set, or the detector does not answer.</Nothing>
          ) : (
            <Table
              name="Sinks"
              rows={of.sinks}
              id={(row) => row.name}
              columns={[
                { head: "Sink", cell: (row) => <span class="mono">{row.name}</span> },
                { head: "State", cell: (row) => row.state },
                { head: "Waiting", num: true, cell: (row) => count(row.backlog) },
                { head: "Last acknowledged", cell: (row) => (row.last_ack === null ? "never" : <Time at={ofWall(row.last_ack)} how="second" />) },
              ]}
            />
          )}
        </section>
        <section class="panel" aria-labelledby="letters">
          <h2 id="letters">Dead letters</h2>
          {of.letters.length === 0 ? (
            <Nothing title="None">Every record could be read.</Nothing>
          ) : (
            <Table
              name="Dead letters by reason"
              rows={of.letters}
              id={(row) => row.reason}
              columns={[
                { head: "Reason", cell: (row) => row.reason },
                { head: "Records", num: true, cell: (row) => count(row.count) },
                { head: "For example", cell: (row) => <span class="narrow mono">{row.example}</span> },
              ]}
            />
          )}
        </section>
      </div>
      <section class="panel" aria-labelledby="drift">
        <h2 id="drift">The population</h2>
        {of.drift.length === 0 ? (
          <Nothing title="No drift was found">Honest clients ask as they did when the profile was fitted, as far as can be told.</Nothing>
        ) : (
          <ul class="drift">
            {of.drift.map((one) => (
              <li key={`${one.at} ${one.text}`}>
                <p>
                  <strong>
                    <Time at={ofLog(one.at)} />
                  </strong>{" "}
                  {one.text}
                </p>
                {one.proposal && <p>{one.proposal}</p>}
                {(one.before || one.after) && (
                  <p class="muted">
                    Before: {one.before || NONE}. After: {one.after || NONE}.
                  </p>
                )}
              </li>
            ))}
          </ul>
        )}
      </section>
    </>
  );
}
