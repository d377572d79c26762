/** Where one begins: what is watched, what is promised, what waits. */
import { Link } from "wouter-preact";
import { query, type Page } from "../api/client";
import { useRead } from "../api/reading";
import type * as S from "../api/shapes";
import { EntityLink, Figure, Level, Time } from "../parts/marks";
import { Nothing, Shown } from "../parts/states";
import { Table } from "../parts/table";
import { Title } from "../parts/title";
import { count, NONE, oneIn, percent, score, several, span } from "../words/numbers";
import { capital, horizon, kind, level, sentence } from "../words/kinds";
import { ofLog } from "../words/times";

export function Overview() {
  const overview = useRead<S.Overview>("/overview", ["alerts", "policy", "tape"]);
  const health = useRead<S.HealthWord>("/health", ["health"]);
  const cases = useRead<Page<S.CaseRow>>("/cases?state=open&limit=6", ["alerts", "tape"]);
  return (
    <>
      <Title name="Overview">Overview</Title>
      <Shown of={overview} tall={16}>
        {(over) => (
          <>
            <p class="lead">
              The model <strong>{over.model}</strong>, watched by profile <span class="mono">{over.profile}</span> ({over.kit}).
              {over.since !== null && over.until !== null && (
                <>
                  {" "}
                  The tape reaches from <Time at={ofLog(over.since)} /> to <Time at={ofLog(over.until)} />.
                </>
              )}
            </p>
            {over.state !== "measured" && <p class="warn">{capital(over.state)}: nobody vouched for the traffic that the profile was calibrated on.</p>}
            <dl class="figures panel">
              <Figure name="Open cases" note={<Link href="/alerts">to the queue</Link>}>
                {count(over.open_cases)}
              </Figure>
              <Figure name="Entities on the tape" note={several(over.points, "point")}>
                {count(over.entities)}
              </Figure>
              <Figure name="Queries a second" note={health.value ? state(health.value) : ""}>
                {health.value?.rate === null || health.value === undefined ? NONE : health.value.rate.toFixed(1)}
              </Figure>
              <Figure name="Behind the log" note={<Link href="/health">to health</Link>}>
                {health.value?.lag_s === null || health.value === undefined ? NONE : span(health.value.lag_s)}
              </Figure>
            </dl>
          </>
        )}
      </Shown>
      <div class="halves">
        <section class="panel" aria-labelledby="waiting">
          <h2 id="waiting">Waiting for a verdict</h2>
          <Shown of={cases} tall={16}>
            {(page) =>
              page.items.length === 0 ? (
                <Nothing title="No case is open">When somebody is named, the case appears here and in your SIEM.</Nothing>
              ) : (
                <ol class="short is-still">
                  {/* By place, each as tall as the others: what is new is written where something stood, and nothing moves. */}
                  {page.items.map((one, place) => (
                    <li key={place}>
                      <Level of={one.severity} />
                      <div>
                        <p class="short-line">
                          <span class="short-who">
                            <Link href={`/alerts${query({ case: one.case_id })}`}>{capital(kind(one.kind))}</Link>
                            <span class="muted"> by </span>
                            <EntityLink of={one.level} id={one.id} />
                          </span>
                          <span class="muted short-when">
                            <Time at={ofLog(one.at)} />
                          </span>
                        </p>
                        <p class="short-why">{one.reason}</p>
                      </div>
                    </li>
                  ))}
                </ol>
              )
            }
          </Shown>
        </section>
        <section class="panel" aria-labelledby="promised">
          <h2 id="promised">What is promised</h2>
          <Shown of={overview} tall={16}>
            {(over) => (
              <>
                {over.levels.map((one) => (
                  <div key={one.level} class="promise">
                    <strong>{capital(level(one.level, true))}</strong>
                    {one.share === null ? (
                      <p>Nothing is promised. {sentence(one.note)}</p>
                    ) : (
                      <p>
                        At most <strong>{oneIn(one.share)}</strong> honest {level(one.level, true)} is named within {horizon(over.horizon)}.
                        {one.low !== null && one.high !== null && <> This calibration really lets between {percent(one.low)} and {percent(one.high)} pass.</>}{" "}
                        <span class="muted">Calibrated by {count(one.calibrated)}; they can promise {oneIn(one.smallest)} at best.</span> {sentence(one.note)}
                      </p>
                    )}
                    <Link href={`/thresholds${query({ level: one.level })}`}>{one.threshold === null ? "Thresholds" : `Threshold ${score(one.threshold)}`}</Link>
                  </div>
                ))}
              </>
            )}
          </Shown>
        </section>
      </div>
      <Shown of={overview} tall={8}>
        {(over) => (
          <section class="panel" aria-labelledby="signals">
            <h2 id="signals">Signals that are looked at</h2>
            <details class="behind">
              <summary>{several(over.signals.length, "signal")}, and what each of them means</summary>
              <Table
                name="Signals"
                rows={over.signals}
                id={(row) => row.name}
                columns={[
                  { head: "Signal", cell: (row) => <span class="mono">{row.name}</span> },
                  { head: "Too many low values", cell: (row) => row.low },
                  { head: "Too many high values", cell: (row) => row.high },
                  { head: "May accuse alone", cell: (row) => (row.alone ? "yes" : "no") },
                ]}
              />
            </details>
          </section>
        )}
      </Shown>
    </>
  );
}

function state(of: S.HealthWord): string {
  if (of.cluster !== "") return of.reachable ? `the workers are ${of.state === "ok" ? "well" : of.state}` : "the mirror of the workers is away";
  return of.reachable ? `the detector is ${of.state === "ok" ? "well" : of.state}` : "the detector does not answer";
}
