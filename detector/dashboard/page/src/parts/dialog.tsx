/** A dialog of the browser's own: it holds the focus and gives it back. */
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { problemIn } from "../api/client";
import type * as S from "../api/shapes";
import { Words } from "./fields";
import { Failed } from "./states";

interface Given {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
}

export function Dialog({ title, onClose, children }: Given) {
  const self = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = self.current;
    if (dialog && !dialog.open) dialog.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog ref={self} aria-labelledby={id} onCancel={onClose}>
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  );
}

interface Asked {
  title: string;
  verb: string;
  grave?: boolean;
  children?: ComponentChildren;
  onDo: (why: string) => Promise<void>;
  onClose: () => void;
}

/** Asks why before something is done: the audit keeps it. A refusal is shown, and what was typed stays. */
export function AskWhy({ title, verb, grave = false, children, onDo, onClose }: Asked) {
  const [why, setWhy] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<S.Problem>();

  async function submit(event: Event) {
    event.preventDefault();
    setBusy(true);
    try {
      await onDo(why.trim());
      onClose();
    } catch (error) {
      setProblem(problemIn(error));
      setBusy(false);
    }
  }

  return (
    <Dialog title={title} onClose={onClose}>
      <form onSubmit={(event) => void submit(event)}>
        {children}
        <Words
          label="Why"
          hint="Kept in the audit beside your name."
          required
          maxLength={2_000}
          value={why}
          onInput={(event) => setWhy(event.currentTarget.value)}
        />
        {problem && <Failed problem={problem} />}
        <div class="actions">
          <button type="submit" class={grave ? "button grave" : "button first"} disabled={busy || why.trim() === ""}>
            {verb}
          </button>
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
        </div>
      </form>
    </Dialog>
  );
}
