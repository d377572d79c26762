/** Thresholds of one level as numbers: typed as a score, or as the promise that they stand for. */
import { useState } from "preact/hooks";
import { ask, problemIn } from "../api/client";
import type * as S from "../api/shapes";
import { snapped } from "../charts/scale";
import { Level } from "../parts/marks";
import { oneIn, score as said, shareOf } from "../words/numbers";
import type { Severity } from "../words/kinds";
import { missing } from "./editing";

interface Given {
  level: S.LevelWord;
  thresholds: readonly S.ThresholdAt[];
  inForce: readonly S.ThresholdAt[];
  promised: readonly S.Promised[];
  onMove: (severity: Severity, score: number) => void;
  onAdd: (severity: Severity) => void;
  onDrop: (severity: Severity) => void;
}

export function Editor({ level, thresholds, inForce, promised, onMove, onAdd, onDrop }: Given) {
  // Only a level that the policy names can be alerted on.
  const more = thresholds.length + inForce.length > 0 ? missing(thresholds) : [];
  return (
    <div class="editor">
      {thresholds.map((one) => (
        <Line
          key={one.severity}
          level={level}
          of={one}
          before={inForce.find((now) => now.severity === one.severity)?.score}
          promised={promised.find((word) => word.level === level.level && word.severity === one.severity)}
          onMove={(to) => onMove(one.severity, to)}
          onDrop={thresholds.length > 1 ? () => onDrop(one.severity) : null}
        />
      ))}
      {more.length > 0 && (
        <p class="editor-more">
          <span class="muted">Also alert as</span>
          {more.map((severity) => (
            <button key={severity} type="button" class="button small" onClick={() => onAdd(severity)}>
              + {severity}
            </button>
          ))}
        </p>
      )}
    </div>
  );
}

interface One {
  level: S.LevelWord;
  of: S.ThresholdAt;
  before: number | undefined;
  promised: S.Promised | undefined;
  onMove: (score: number) => void;
  onDrop: (() => void) | null;
}

function Line({ level, of, before, promised, onMove, onDrop }: One) {
  const [wrong, setWrong] = useState("");
  const share = promised?.share ?? null;

  function typedScore(text: string) {
    const score = Number(text);
    if (text.trim() === "" || !Number.isFinite(score) || score < 0.75) return setWrong("A score is a number from 0.75 up; 1 is one honest client in a hundred, in one signal.");
    setWrong("");
    onMove(snapped(score));
  }

  async function typedPromise(text: string) {
    const wanted = shareOf(text);
    if (wanted === null) return setWrong("Say it as “1 in 500”, “0.2%” or “0.002”.");
    setWrong("");
    try {
      const body = { level: level.level, severity: of.severity, share: wanted, score: null } satisfies S.AskPromise;
      onMove((await ask<S.Promised>("POST", "/promise", { body })).score);
    } catch (error) {
      setWrong(problemIn(error).detail || problemIn(error).title);
    }
  }

  return (
    <div class="line">
      <div class="line-name">
        <Level of={of.severity} />
        {before === undefined ? <span class="was">new</span> : before !== of.score && <span class="was">was {said(before)}</span>}
      </div>
      <Typed label={`Score from which ${of.severity} is alerted`} short="from score" text={said(of.score)} numeric onDone={typedScore} />
      <Typed
        label={`Share of honest entities that may pass ${of.severity}`}
        short="promises"
        text={share === null ? "nothing" : oneIn(share)}
        locked={level.share === null}
        onDone={(text) => void typedPromise(text)}
      />
      {onDrop && (
        <button type="button" class="button small quiet" onClick={onDrop}>
          Remove<span class="unseen"> {of.severity}</span>
        </button>
      )}
      {wrong && (
        <p class="wrong" role="alert">
          {wrong}
        </p>
      )}
    </div>
  );
}

interface TypedGiven {
  label: string;
  short: string;
  text: string;
  locked?: boolean;
  numeric?: boolean;
  onDone: (text: string) => void;
}

/** Takes effect at Enter or when one leaves it; Escape puts back what stood there. */
function Typed({ label, short, text, locked = false, numeric = false, onDone }: TypedGiven) {
  const [typed, setTyped] = useState<string | null>(null);

  function done() {
    if (typed !== null && typed !== text) onDone(typed);
    setTyped(null);
  }

  return (
    <label class="typed">
      <span class="typed-name" aria-hidden="true">
        {short}
      </span>
      <input
        aria-label={label}
        inputMode={numeric ? "decimal" : "text"}
        value={typed ?? text}
        disabled={locked}
        onInput={(event) => setTyped(event.currentTarget.value)}
        onFocus={(event) => event.currentTarget.select()}
        onBlur={done}
        onKeyDown={(event) => {
          if (event.key === "Enter") done();
          if (event.key === "Escape") setTyped(null);
        }}
      />
    </label>
  );
}
