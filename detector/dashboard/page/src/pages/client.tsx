/** One entity: how it asks, since when, and how that differs from honest ones. */
import { useState } from "preact/hooks";
import { Link, useSearchParams } from "wouter-preact";
import { query } from "../api/client";
import { useRead } from "../api/reading";
import type * as S from "../api/shapes";
import { ExposureCurve } from "../charts/exposure";
import { QueryMap } from "../charts/map";
import { EvidenceOverTime, HUES } from "../charts/timeline";
import { AmongHonest } from "../charts/typical";
import { EntityLink, Figure, Level, Time, Verdict } from "../parts/marks";
import { Nothing, Shown } from "../parts/states";
import { Behind, Table } from "../parts/table";
import { Title } from "../parts/title";
import { count, NONE, percent, score, several } from "../words/numbers";
import { capital, kind, level as said } from "../words/kinds";
import { ofLog } from "../words/times";

const FIRST = 4; // reasons in sight
const ODD = 0.05; // a score below which a signal says nothing

export function Client() {
  const [search] = useSearchParams();
  const level = search.get("level") ?? "client";
  const id = search.get("id") ?? "";
  return <One key={`${level}\n${id}`} level={level} id={id} />;
}

function One({ level, id }: { level: string; id: string }) {
  const at = query({ level, id });
  const view = useRead<S.EntityView>(`/entity${at}`, ["alerts", "tape"]);
  return (
    <>
      <Title
        name={id}
        aside={<Link href={`/clients${query({ level })}`}>All {said(level, true)}</Link>}
      >
        {capital(said(level))} <span class="mono">{id}</span>
      </Title>
      <Shown of={view} tall={16}>
        {(of) => (
          <>
            <Head of={of} />
            <Sentences of={of} />
          </>
        )}
      </Shown>
      <Over at={at} signals={view.value?.signals ?? []} />
      <Shown of={view} tall={24}>{(of) => <Signals of={of} />}</Shown>
      <Queries at={at} />
      <div class="halves">
        <OnMap at={at} />
        <Shown of={view} tall={8}>{(of) => <Others of={of} />}</Shown>
      </div>
    </>
  );
}

function Head({ of }: { of: S.EntityView }) {
  const row = of.row;
  return (
    <dl class="figures panel">
      <Figure name="Score now" note={`highest ${score(row.peak)}`}>
        {row.score === null ? "low" : score(row.score)}
      </Figure>
      <Figure name="Queries" note={of.first_at === null ? "" : <>since <Time at={ofLog(of.first_at)} how="day" /></>}>
        {count(row.queries)}
      </Figure>
      <Figure name="Exposure" note={of.equals ? `as much as an honest client learns in ${count(of.equals)} queries` : "of what a clone of 1,000 queries knows"}>
        {row.clone === null ? NONE : percent(row.clone)}
      </Figure>
      <Figure name="Case" note={row.case_id ? <Link href={`/alerts${query({ case: row.case_id, state: "all" })}`}>open the case</Link> : "none"}>
        {row.severity ? <Level of={row.severity} /> : NONE}
      </Figure>
      <Figure name="Verdict" note={of.of_class ? `declared as ${of.of_class}` : ""}>
        {row.said ? <Verdict of={row.said} /> : NONE}
      </Figure>
    </dl>
  );
}

function Sentences({ of }: { of: S.EntityView }) {
  const told = of.signals.filter((one) => one.text);
  return (
    <section class="panel" aria-labelledby="why">
      <h2 id="why">In plain words</h2>
      {of.allowed && (
        <p class="notice">
          On the allow-list until <Time at={ofLog(of.allowed.until)} />: {of.allowed.reason} Nobody is alerted on it until then; its evidence is still counted.
        </p>
      )}
      {told.length === 0 ? (
        <p>It asks as honest {said(of.row.level, true)} do. No signal speaks against it.</p>
      ) : (
        <>
          <p>
            {of.attack && of.attack !== "unknown" ? `This looks like ${kind(of.attack)}.` : "The evidence names no one attack."}
          </p>
          <Told of={told.slice(0, FIRST)} />
          {told.length > FIRST && (
            <details class="behind">
              <summary>{several(told.length - FIRST, "weaker reason")}</summary>
              <Told of={told.slice(FIRST)} />
            </details>
          )}
        </>
      )}
    </section>
  );
}

function Told({ of }: { of: readonly S.Weighed[] }) {
  return (
    <ul class="sentences">
      {of.map((one) => (
        <li key={one.signal}>
          {one.text}{" "}
          <span class="muted">
            ({one.signal}: {one.one_in === null ? "no honest client shows as much" : `${one.one_in >= 1e5 ? "fewer than 1" : "1"} honest client in ${count(Math.round(one.one_in))} is as odd`})
          </span>
        </li>
      ))}
    </ul>
  );
}

function Over({ at, signals }: { at: string; signals: readonly S.Weighed[] }) {
  const timeline = useRead<S.Timeline>(`/entity/timeline${at}`, ["alerts", "tape"]);
  const [picked, setPicked] = useState<readonly string[] | null>(null);
  const known = timeline.value ? Object.keys(timeline.value.signals) : [];
  const ranked = [...signals.map((one) => one.signal).filter((name) => known.includes(name))];
  for (const name of known) if (!ranked.includes(name)) ranked.push(name);
  const drawn = picked ?? ranked.slice(0, 3);
  return (
    <section class="panel" aria-labelledby="over">
      <h2 id="over">Evidence over time</h2>
      <Shown of={timeline} tall={24}>
        {(of) =>
          of.at.length === 0 ? (
            <Nothing title="Nothing on the tape">Its score never rose above what one honest client in thirty shows in a single signal. Nothing below that is kept.</Nothing>
          ) : (
            <>
              <figure class="chart">
                <EvidenceOverTime of={of} drawn={drawn} />
                <figcaption>
                  <span class="key key-score">score</span>
                  <span class="muted">1 is one honest client in a hundred, in one signal. Dashed: thresholds in force. Triangles: alerts.</span>
                </figcaption>
                <fieldset class="picks">
                  <legend>Signals drawn beside it</legend>
                  {ranked.map((name) => {
                    const place = drawn.indexOf(name);
                    return (
                      <label key={name} class={place >= 0 ? `pick is-${HUES[place % HUES.length]}` : "pick"}>
                        <input
                          type="checkbox"
                          checked={place >= 0}
                          disabled={place < 0 && drawn.length >= HUES.length}
                          onChange={() => setPicked(place >= 0 ? drawn.filter((one) => one !== name) : [...drawn, name])}
                        />
                        {name}
                      </label>
                    );
                  })}
                </fieldset>
                <Behind of="The same as a table">
                  <Table
                    name="Score and signals over time"
                    rows={of.at.map((us, n) => ({ us, n })).slice(-200)}
                    id={(row) => row.n}
                    columns={[
                      { head: "At", cell: (row) => <Time at={ofLog(row.us)} how="second" /> },
                      { head: "Queries", num: true, cell: (row) => count(of.queries[row.n]) },
                      { head: "Score", num: true, cell: (row) => score(of.score[row.n]) },
                      ...drawn.map((name) => ({ head: name, num: true, cell: (row: { n: number }) => score(of.signals[name]?.[row.n]) })),
                      { head: "Exposure", num: true, cell: (row) => percent(of.clone[row.n]) },
                    ]}
                  />
                  {of.at.length > 200 && <p class="hint">The last 200 of {several(of.at.length, "point")}.</p>}
                </Behind>
                {of.thinned && <p class="hint">There are more points than are drawn; each rise of the score is among them.</p>}
              </figure>
              <h3>Exposure</h3>
              {of.clone.some((clone) => clone !== null) ? (
                <>
                  <p class="hint">How much of what a clone of 1,000 queries would know has leaked to it. The numbers are in the table above.</p>
                  <ExposureCurve of={of} />
                </>
              ) : (
                <Nothing title="Not known">Exposure is looked at from 30 queries on, where the log carries answers.</Nothing>
              )}
            </>
          )
        }
      </Shown>
    </section>
  );
}

function Signals({ of }: { of: S.EntityView }) {
  return (
    <section class="panel" aria-labelledby="signals">
      <h2 id="signals">Against typical honest {said(of.row.level, true)}</h2>
      <p class="hint">On the line: where honest ones are (the wide part, from their usual to their 99th percentile; the stroke is their median) and where this one is.</p>
      {of.signals.length === 0 ? (
        <Nothing title="No signal has a say yet">It has asked too little.</Nothing>
      ) : (
        <>
          <Weights of={of.signals.filter((one) => one.score > ODD)} name="Signals against honest ones" />
          <Behind of={`${several(of.signals.filter((one) => one.score <= ODD).length, "signal")} in which it is as honest ones usually are`}>
            <Weights of={of.signals.filter((one) => one.score <= ODD)} name="Signals in which it is as usual" />
          </Behind>
        </>
      )}
    </section>
  );
}

/** What leaked and the sequence model's word lie in no bins of honest queries: their score is all there is. */
function ofBins(row: S.Weighed): boolean {
  return row.evidence_db !== 0 || row.share !== 0 || row.honest_share !== 0;
}

function Weights({ of, name }: { of: readonly S.Weighed[]; name: string }) {
  return (
    <Table
      name={name}
      rows={of}
      id={(row) => row.signal}
      columns={[
        { head: "Signal", cell: (row) => <span class="mono">{row.signal}</span> },
        { head: "Among honest ones", cell: (row) => <AmongHonest at={row.score} /> },
        { head: "Score", num: true, cell: (row) => score(row.score) },
        { head: "Evidence, dB", num: true, cell: (row) => (ofBins(row) ? row.evidence_db.toFixed(1) : NONE) },
        { head: "Its queries there", num: true, cell: (row) => (ofBins(row) ? percent(row.share) : NONE) },
        { head: "Honest queries there", num: true, cell: (row) => (ofBins(row) ? percent(row.honest_share) : NONE) },
        { head: "Side", cell: (row) => (ofBins(row) ? row.side : NONE) },
      ]}
    />
  );
}

function Queries({ at }: { at: string }) {
  const queries = useRead<S.Mattered[]>(`/entity/queries${at}`, ["alerts", "tape"]);
  return (
    <section class="panel" aria-labelledby="queries">
      <h2 id="queries">Queries that mattered</h2>
      <Shown of={queries} tall={16}>
        {(rows) =>
          rows.length === 0 ? (
            <Nothing title="None stands out">The score did not rise at any query that is still on the tape.</Nothing>
          ) : (
            <Table
              name="Queries at which the score rose"
              rows={rows}
              id={(row) => `${row.query_id} ${row.n}`}
              columns={[
                { head: "Query", cell: (row) => <span class="mono">{row.query_id}</span> },
                { head: "Nr.", num: true, cell: (row) => count(row.n) },
                { head: "At", cell: (row) => <Time at={ofLog(row.at)} how="second" />, wide: true },
                { head: "Rise", num: true, cell: (row) => `+${score(row.rise)}` },
                { head: "Signal", cell: (row) => <span class="mono">{row.signal}</span> },
                { head: "As extreme, honest", num: true, cell: (row) => (row.honest_share > 0 ? percent(row.honest_share) : NONE) },
                { head: "In words", cell: (row) => <span class="narrow">{row.text}</span> },
              ]}
            />
          )
        }
      </Shown>
    </section>
  );
}

function OnMap({ at }: { at: string }) {
  const map = useRead<S.Map>(`/entity/map${at}`);
  return (
    <section class="panel" aria-labelledby="map">
      <h2 id="map">Its queries over the training data</h2>
      <Shown of={map} tall={24}>
        {(of) => (of.queries.length === 0 ? <Nothing title="No map">This kind of input keeps no remembered queries, or its row is gone.</Nothing> : <QueryMap of={of} />)}
      </Shown>
    </section>
  );
}

function Others({ of }: { of: S.EntityView }) {
  return (
    <>
      <section class="panel" aria-labelledby="others">
        <h2 id="others">{of.members.length > 0 ? "Members" : "Groups and rings"}</h2>
        {of.members.length + of.groups.length === 0 ? (
          <Nothing title="None">The log names no group for it, and no ring was found with it.</Nothing>
        ) : (
          <ul class="hands">
            {[...of.groups, ...of.members].map((one) => (
              <li key={`${one.level} ${one.id}`}>
                <EntityLink of={one.level} id={one.id} />
              </li>
            ))}
          </ul>
        )}
      </section>
      <section class="panel" aria-labelledby="alerts">
        <h2 id="alerts">Alerts</h2>
        {of.alerts.length === 0 ? (
          <Nothing title="None">It was never alerted on in the span that is kept.</Nothing>
        ) : (
          <ol class="short">
            {of.alerts.map((one) => (
              <li key={one.id}>
                <Level of={one.severity} />
                <div>
                  <Link href={`/alerts${query({ case: one.case_id, state: "all" })}`}>{capital(kind(one.kind))}</Link>{" "}
                  <span class="muted">
                    ({one.action}, score {score(one.score)} over {score(one.threshold)})
                  </span>
                </div>
                <span class="muted">
                  <Time at={new Date(one.at)} />
                </span>
              </li>
            ))}
          </ol>
        )}
      </section>
    </>
  );
}
