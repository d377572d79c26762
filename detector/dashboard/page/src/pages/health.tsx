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
        <strong>{standing(of)}</strong>
        {of.reasons.map((reason) => (
          <p key={reason}>{reason}</p>
        ))}
        {!of.reachable && !of.cluster && <p>What stands below was read from its store. Start `querywarden run`, or see whether it still runs.</p>}
        {!of.reachable && of.cluster && <p>`querywarden dashboard` starts it again and again; its log says why it ended.</p>}
      </div>
      <dl class="figures panel">
        <Figure name="Behind the log" note={of.watermark_at === null ? "" : <>read up to <Time at={ofLog(of.watermark_at)} /></>}>
          {of.lag_s === null ? NONE : span(of.lag_s)}
        </Figure>
        <Figure name={of.cluster ? "Records a second" : "Queries a second"} note={of.cluster ? "shared out to workers" : `${count(of.queries)} in all`}>
          {of.rate === null ? NONE : of.rate.toFixed(1)}
        </Figure>
        {!of.cluster && (
          <>
            <Figure name="Records" note={`${count(letters)} of them dead letters`}>
              {count(of.records)}
            </Figure>
            <Figure name="Without identity" note="they are judged as nobody">
              {percent(of.without_identity)}
            </Figure>
          </>
        )}
        <Figure name="State" note={`${count(of.entities)} entities, ${several(of.tape_points, "point")} of the tape`}>
          {bytes(of.store_bytes)}
        </Figure>
        <Figure name="Version" note={of.seen_at === null ? "" : <>seen <Time at={ofWall(of.seen_at)} how="second" /></>}>
          {of.version || NONE}
        </Figure>
      </dl>
      {of.cluster && (
        <section class="panel" aria-labelledby="behind">
          <h2 id="behind">How far each stage is</h2>
          <Stages of={of} />
        </section>
      )}
      <div class="halves">
        <section class="panel" aria-labelledby="sinks">
          <h2 id="sinks">Where alerts go</h2>
          {of.cluster && (
            <p>
              Workers deliver, and how each sink stands is told by their ports alone. What not all sinks have is what `deliver` has
              left above. Listed here is where this dashboard hands its audit over.
            </p>
          )}
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

function standing(of: S.HealthWord): string {
  if (of.cluster === "") return of.reachable ? `The detector is ${of.state === "ok" ? "well" : of.state}` : "The detector does not answer";
  if (!of.reachable) return "The mirror of the workers is away: this is what it said last";
  const run = of.workers === null ? "How many workers run is not known" : `${several(of.workers, "worker")} ${of.workers === 1 ? "runs" : "run"}`;
  return of.state === "ok" ? `${run}, and none stands still` : run;
}

const STAGES: Record<string, string> = {
  project: "reads the log and shares it out",
  judge: "judges (its place moves when it saves)",
  deliver: "brings alerts to the sinks",
  mirror: "writes what this dashboard shows",
};

/** Of each stage and topic all that is left, and the partition that has most of it. */
function Stages({ of }: { of: S.HealthWord }) {
  const topics = new Map<string, S.Behind[]>();
  for (const one of of.behind) {
    const key = `${one.who} ${one.topic}`;
    topics.set(key, [...(topics.get(key) ?? []), one]);
  }
  const rows = [...topics.entries()].map(([key, all]) => {
    const most = all.reduce((a, b) => (b.messages > a.messages ? b : a));
    const stands = all.filter((one) => one.since !== null).map((one) => one.since as number);
    return { key, most, all, left: all.reduce((sum, one) => sum + one.messages, 0), since: stands.length > 0 ? Math.min(...stands) : null };
  });
  if (rows.length === 0) return <Nothing title="Not known">The brokers do not answer, or nobody has asked them yet.</Nothing>;
  return (
    <Table
      name="How far each stage is"
      rows={rows}
      id={(row) => row.key}
      columns={[
        { head: "Stage", cell: (row) => <span title={STAGES[row.most.who] ?? ""}>{row.most.who}</span> },
        { head: "Topic", cell: (row) => <span class="mono">{row.most.topic}</span> },
        { head: "Partitions", num: true, wide: true, cell: (row) => count(row.all.length) },
        { head: "Messages left", num: true, cell: (row) => count(row.left) },
        { head: "Most in", cell: (row) => (row.left === 0 ? NONE : `partition ${row.most.partition}: ${count(row.most.messages)}`) },
        { head: "Not moved since", cell: (row) => (row.since === null ? NONE : <Time at={ofWall(row.since)} how="second" />) },
      ]}
    />
  );
}
