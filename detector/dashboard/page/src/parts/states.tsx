/** When there is nothing, nothing yet, or nothing but a problem. */
import type { ComponentChildren } from "preact";
import type { Read } from "../api/reading";
import type * as S from "../api/shapes";

export function Nothing({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="nothing">
      <p class="nothing-title">{title}</p>
      {children && <p>{children}</p>}
    </div>
  );
}

export function Failed({ problem, again }: { problem: S.Problem; again?: () => void }) {
  return (
    <div class="failed" role="alert">
      <p class="failed-title">{problem.title}</p>
      {problem.detail && problem.detail !== problem.title && <p>{problem.detail}</p>}
      {problem.errors && (
        <ul>
          {Object.entries(problem.errors).map(([field, said]) => (
            <li key={field}>
              <span class="mono">{field}</span>: {said}
            </li>
          ))}
        </ul>
      )}
      {again && (
        <button type="button" class="button" onClick={again}>
          Try again
        </button>
      )}
    </div>
  );
}

/** What was read; until then its place, in the height that it will have. */
export function Shown<T>({
  of,
  tall = 8,
  children,
}: {
  of: Read<T>;
  tall?: 4 | 8 | 16 | 24;
  children: (value: T) => ComponentChildren;
}) {
  if (of.value !== undefined) {
    return (
      <>
        {of.problem && <Failed problem={of.problem} again={of.again} />}
        <div class="shown" aria-busy={of.stale}>
          {children(of.value)}
        </div>
      </>
    );
  }
  if (of.problem) return <Failed problem={of.problem} again={of.again} />;
  return (
    <div class={`waiting tall-${tall}`} role="status">
      <span class="unseen">Loading</span>
    </div>
  );
}
