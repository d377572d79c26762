/** Small words with a look of their own: a severity, a time, a verdict, an entity's link. */
import type { ComponentChildren } from "preact";
import { Link } from "wouter-preact";
import { query } from "../api/client";
import { answer, level, type Answer, type Severity } from "../words/kinds";
import { local, utc } from "../words/times";

export function Level({ of }: { of: Severity }) {
  return <span class={`severity is-${of}`}>{of}</span>;
}

export function Verdict({ of }: { of: Answer | null | undefined }) {
  return of ? <span class={`verdict is-${of}`}>{answer(of)}</span> : null;
}

/** In the viewer's zone; UTC on hover. */
export function Time({ at, how = "minute" }: { at: Date; how?: "day" | "minute" | "second" }) {
  return (
    <time dateTime={Number.isNaN(at.getTime()) ? "" : at.toISOString()} title={utc(at)}>
      {local(at, how)}
    </time>
  );
}

export function entityPath(of: string, id: string): string {
  return `/client${query({ level: of, id })}`;
}

export function EntityLink({ of, id, quiet = false }: { of: string; id: string; quiet?: boolean }) {
  return (
    <span class="entity">
      {of !== "client" && !quiet && <span class="muted">{level(of)} </span>}
      <Link href={entityPath(of, id)} class="mono">
        {id}
      </Link>
    </span>
  );
}

/** One number with its name. The place is kept while it changes. */
export function Figure({ name, children, note }: { name: string; children: ComponentChildren; note?: ComponentChildren }) {
  return (
    <div class="figure">
      <dt>{name}</dt>
      <dd>
        <span class="figure-value">{children}</span>
        {note !== undefined && <span class="figure-note">{note}</span>}
      </dd>
    </div>
  );
}

export function Hint({ children }: { children: ComponentChildren }) {
  return <p class="hint">{children}</p>;
}
