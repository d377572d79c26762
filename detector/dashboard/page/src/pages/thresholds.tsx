/** Thresholds: moved here, their consequences beside them, and the way into force below. */
import { useEffect, useMemo, useState } from "preact/hooks";
import { useSearchParams } from "wouter-preact";
import { query, type Page } from "../api/client";
import { useRead } from "../api/reading";
import type * as S from "../api/shapes";
import { ScoreHistogram } from "../charts/histogram";
import { Choose, Switch } from "../parts/fields";
import { Hint, Time } from "../parts/marks";
import { Nothing, Shown } from "../parts/states";
import { Title } from "../parts/title";
import { Consequences, InAWord, Promises } from "../thresholds/consequences";
import { Drafting } from "../thresholds/drafting";
import { Drafts } from "../thresholds/drafts";
import { changeOf, isEmpty, moved, sameThresholds, withoutSeverity, withSeverity, workingWith, type Working } from "../thresholds/editing";
import { Editor } from "../thresholds/editor";
import { Journal } from "../thresholds/journal";
import { FRESH, of as unsavedOf, remember, remembered, type Unsaved } from "../thresholds/kept";
import { usePreview } from "../thresholds/previewing";
import { count, span } from "../words/numbers";
import { capital, level as said, type Severity } from "../words/kinds";
import { ofLog } from "../words/times";

export function Thresholds() {
  const overview = useRead<S.Overview>("/overview", ["policy"]);
  const policies = useRead<S.PolicyWord[]>("/policy", ["policy"]);
  return (
    <>
      <Title name="Thresholds">Thresholds</Title>
      <Shown of={overview} tall={24}>
        {(over) => (
          <Shown of={policies} tall={24}>
            {(all) => {
              const now = all.find((one) => one.in_force) ?? all[0];
              return now ? (
                <Workplace over={over} inForce={now} policies={all} onPolicy={policies.again} />
              ) : (
                <Nothing title="There is no policy yet">The detector writes one when it first starts. Start `querywarden run`, and come back.</Nothing>
              );
            }}
          </Shown>
        )}
      </Shown>
    </>
  );
}

interface Given {
  over: S.Overview;
  inForce: S.PolicyWord;
  policies: readonly S.PolicyWord[];
  onPolicy: () => void;
}

const COOL_DOWNS = [0, 3_600, 21_600, 86_400, 259_200, 604_800, 2_592_000];
const SPANS: readonly (readonly [string, string])[] = [
  ["all", "All that is kept"],
  ["30", "The last 30 days"],
  ["7", "The last 7 days"],
  ["1", "The last day"],
];

function Workplace({ over, inForce, policies, onPolicy }: Given) {
  const [search, setSearch] = useSearchParams();
  const [unsaved, setUnsaved] = useState<Unsaved>(remembered);
  const [days, setDays] = useState("all");
  const drafts = useRead<Page<S.Draft>>("/drafts", ["drafts", "policy"]);
  const level = over.levels.find((one) => one.level === search.get("level")) ?? over.levels[0];
  const histogram = useRead<S.Histogram>(level ? `/histogram${query({ level: level.level })}` : null, ["tape", "policy"]);
  const working = useMemo(() => workingWith(inForce, unsaved.change), [inForce, unsaved.change]);
  const change = useMemo(() => changeOf(inForce, working), [inForce, working]);
  const preview = usePreview(change, days === "all" || over.until === null ? null : over.until - Number(days) * 86_400_000_000);
  useEffect(() => remember(unsaved), [unsaved]);

  if (!level) return <Nothing title="Nothing is judged yet">The profile knows no level of entities. `querywarden profile show` says why.</Nothing>;
  const mine = working.thresholds[level.level] ?? [];
  const now = inForce.thresholds[level.level] ?? [];

  function put(next: Working) {
    setUnsaved((before) => ({ ...before, base: before.base || inForce.version, change: changeOf(inForce, next) }));
  }
  const set = (thresholds: S.ThresholdAt[], name: string) => put({ ...working, thresholds: { ...working.thresholds, [name]: thresholds } });
  const move = (severity: Severity, score: number) => set(moved(mine, severity, score), level.level);

  return (
    <>
      <div class="bar">
        {over.levels.length > 1 && (
          <Switch
            label="Level"
            value={level.level}
            options={over.levels.map((one) => [one.level, capital(said(one.level, true))] as const)}
            onChoose={(to) => setSearch((before) => ({ ...Object.fromEntries(before), level: to }), { replace: true })}
          />
        )}
        <Choose label="Looked at" value={days} options={SPANS} onChoose={setDays} />
      </div>
      <div class="work">
        <section class="panel" aria-labelledby="scores">
          <h2 id="scores">
            Highest scores of {count(level.entities)} {said(level.level, true)}
          </h2>
          <Shown of={histogram} tall={24}>
            {(of) =>
              of.total === 0 ? (
                <Nothing title={`No ${said(level.level, true)} on the tape`}>
                  They appear here when they have asked. The span that is kept
                  {over.since === null ? " is empty." : <> begins on <Time at={ofLog(over.since)} />.</>}
                </Nothing>
              ) : (
                <ScoreHistogram of={of} thresholds={mine} inForce={now} onMove={move} />
              )
            }
          </Shown>
          <InAWord of={preview.value} changed={!isEmpty(change)} />
          <Editor
            level={level}
            thresholds={mine}
            inForce={now}
            promised={preview.value?.promised ?? []}
            onMove={move}
            onAdd={(severity) => set(withSeverity(mine, severity), level.level)}
            onDrop={(severity) => set(withoutSeverity(mine, severity), level.level)}
          />
          <div class="bar">
            <Choose
              label="After a case is resolved, the same entity is left alone for"
              value={String(working.coolDown)}
              options={[...new Set([...COOL_DOWNS, inForce.cool_down_s, working.coolDown])].sort((a, b) => a - b).map((s) => [String(s), s === 0 ? "no time" : span(s)] as const)}
              onChoose={(to) => put({ ...working, coolDown: Number(to) })}
            />
            {!sameThresholds(mine, now) && (
              <button type="button" class="button" onClick={() => set(now.slice(), level.level)}>
                Back to what is in force
              </button>
            )}
          </div>
          <Promises of={preview.value?.promised ?? []} inForce={level} />
          <Drafting
            unsaved={unsaved}
            inForce={inForce}
            theirs={drafts.value?.items.find((one) => one.id === unsaved.draft)}
            onChange={setUnsaved}
            onSaved={(saved) => {
              setUnsaved(FRESH);
              drafts.again();
              document.querySelector(`[data-draft="${saved.id}"]`)?.scrollIntoView({ block: "nearest" });
            }}
          />
        </section>
        <section class="panel" aria-labelledby="consequences">
          <h2 id="consequences">{isEmpty(change) ? "What is in force did" : "What this would have done"}</h2>
          <Consequences of={preview} changed={!isEmpty(change)} />
        </section>
      </div>
      <Drafts
        drafts={drafts}
        inForce={inForce}
        edited={unsaved.draft}
        onEdit={(draft) => {
          setUnsaved(unsavedOf(draft));
          window.scrollTo({ top: 0 });
        }}
        onAnew={(draft) => setUnsaved({ ...unsavedOf(draft), draft: null, etag: "", base: inForce.version })}
      />
      <Journal
        policies={policies}
        onDone={() => {
          onPolicy();
          drafts.again();
        }}
      />
      <Hint>Times are in your zone; UTC stands behind each.</Hint>
    </>
  );
}
