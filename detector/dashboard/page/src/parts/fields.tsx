/** Fields of forms: a label, what it takes, and what is wrong with it. */
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useState } from "preact/hooks";

interface Field {
  label: string;
  hint?: ComponentChildren;
  wrong?: string | undefined;
}

type Input = Field & Omit<JSX.InputHTMLAttributes<HTMLInputElement>, "label">;

export function Text({ label, hint, wrong, ...input }: Input) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input {...input} id={id} aria-invalid={wrong ? true : undefined} aria-describedby={`${id}-hint`} />
      <p class={wrong ? "wrong" : "hint"} id={`${id}-hint`}>
        {wrong ?? hint}
      </p>
    </div>
  );
}

type Area = Field & Omit<JSX.TextareaHTMLAttributes<HTMLTextAreaElement>, "label">;

export function Words({ label, hint, wrong, ...area }: Area) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <textarea rows={3} {...area} id={id} aria-invalid={wrong ? true : undefined} aria-describedby={`${id}-hint`} />
      <p class={wrong ? "wrong" : "hint"} id={`${id}-hint`}>
        {wrong ?? hint}
      </p>
    </div>
  );
}

interface Choice {
  label: string;
  value: string;
  options: readonly (readonly [value: string, said: string])[];
  onChoose: (value: string) => void;
}

export function Choose({ label, value, options, onChoose }: Choice) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select id={id} value={value} onChange={(event) => onChoose(event.currentTarget.value)}>
        {options.map(([one, said]) => (
          <option key={one} value={one}>
            {said}
          </option>
        ))}
      </select>
    </div>
  );
}

/** One of a few, all in sight: a row of radio buttons that looks like tabs. */
export function Switch({ label, value, options, onChoose }: Choice) {
  const id = useId();
  return (
    <fieldset class="switch">
      <legend class="unseen">{label}</legend>
      {options.map(([one, said]) => (
        <label key={one} class={one === value ? "switch-on" : ""}>
          <input type="radio" name={id} value={one} checked={one === value} onChange={() => onChoose(one)} />
          {said}
        </label>
      ))}
    </fieldset>
  );
}

/** A search field that waits until typing rests. */
export function Search({ label, value, onSearch }: { label: string; value: string; onSearch: (text: string) => void }) {
  const id = useId();
  const [typed, setTyped] = useState(value);
  useEffect(() => setTyped(value), [value]);
  useEffect(() => {
    if (typed === value) return undefined;
    const timer = window.setTimeout(() => onSearch(typed), 250);
    return () => window.clearTimeout(timer);
  }, [typed, value, onSearch]);
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input id={id} type="search" value={typed} autocomplete="off" spellcheck={false} onInput={(event) => setTyped(event.currentTarget.value)} />
    </div>
  );
}
