/** A verdict on one case or on many: the answer, a note, and until when it holds. */
import { useState } from "preact/hooks";
import { ask, problemIn } from "../api/client";
import type * as S from "../api/shapes";
import { Dialog } from "../parts/dialog";
import { Choose, Switch, Words } from "../parts/fields";
import { Failed } from "../parts/states";
import { several } from "../words/numbers";
import { ANSWERS, answer as said, capital, type Answer } from "../words/kinds";

const DAYS: readonly (readonly [string, string])[] = [
  ["", "for good"],
  ["7", "for 7 days"],
  ["30", "for 30 days"],
  ["90", "for 90 days"],
];

interface Given {
  cases: readonly string[];
  first: Answer;
  onClose: () => void;
  onSaid: () => void;
}

export function VerdictForm({ cases, first, onClose, onSaid }: Given) {
  const [answer, setAnswer] = useState<Answer>(first);
  const [note, setNote] = useState("");
  const [days, setDays] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<S.Problem>();
  const [refused, setRefused] = useState<Record<string, string>>({});

  async function submit(event: Event) {
    event.preventDefault();
    setBusy(true);
    const expires_at = days === "" ? null : Date.now() / 1_000 + Number(days) * 86_400;
    try {
      const kept = await ask<S.Said>("POST", "/verdicts", { body: { cases: [...cases], answer, note: note.trim(), expires_at } satisfies S.Say });
      if (Object.keys(kept.refused).length === 0) return onSaid();
      setRefused(kept.refused);
    } catch (error) {
      setProblem(problemIn(error));
    }
    setBusy(false);
  }

  return (
    <Dialog title={cases.length === 1 ? "Your verdict" : `Your verdict on ${several(cases.length, "case")}`} onClose={onClose}>
      <form onSubmit={(event) => void submit(event)}>
        <Switch label="It was" value={answer} options={ANSWERS.map((one) => [one, capital(said(one))] as const)} onChoose={(to) => setAnswer(to as Answer)} />
        <Words
          label="Note"
          hint="What you found, for whoever reads it later. Enter saves, Shift and Enter begin a line."
          maxLength={2_000}
          value={note}
          onInput={(event) => setNote(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter" && !event.shiftKey) {
              event.preventDefault();
              event.currentTarget.form?.requestSubmit();
            }
          }}
        />
        <Choose label="It holds" value={days} options={DAYS} onChoose={setDays} />
        {problem && <Failed problem={problem} />}
        {Object.keys(refused).length > 0 && (
          <div class="failed" role="alert">
            <p class="failed-title">The others are kept. These were refused:</p>
            <ul>
              {Object.entries(refused).map(([id, why]) => (
                <li key={id}>
                  <span class="mono">{id}</span>: {why}
                </li>
              ))}
            </ul>
          </div>
        )}
        <div class="actions">
          <button type="submit" class="button first" disabled={busy}>
            Save the verdict
          </button>
          <button type="button" class="button" onClick={Object.keys(refused).length > 0 ? onSaid : onClose}>
            {Object.keys(refused).length > 0 ? "Close" : "Cancel"}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
