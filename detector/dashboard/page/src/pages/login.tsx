/** The way in: name and password, or the organisation's own login. */
import { useEffect, useRef, useState } from "preact/hooks";
import { ask, problemIn } from "../api/client";
import { useRead } from "../api/reading";
import type * as S from "../api/shapes";
import { Text } from "../parts/fields";
import { Failed } from "../parts/states";

/** again: the session ended while a page was open; it stays behind the form. */
export function Login({ onIn, again }: { onIn: (session: S.Session) => void; again: boolean }) {
  const ways = useRead<S.Ways>("/ways");
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [problem, setProblem] = useState<S.Problem>();
  const [busy, setBusy] = useState(false);
  const form = useRef<HTMLFormElement>(null);

  useEffect(() => {
    if (!again) document.title = "Log in · querywarden";
    form.current?.querySelector("input")?.focus();
  }, [again, ways.value]);

  async function submit(event: Event) {
    event.preventDefault();
    setBusy(true);
    try {
      onIn(await ask<S.Session>("POST", "/login", { body: { name, password } satisfies S.Login }));
    } catch (error) {
      const found = problemIn(error);
      setProblem(found);
      if (found.status === 401) setPassword("");
      setBusy(false);
    }
  }

  return (
    <div class="login">
      <div class="login-card">
        <p class="brand">
          <img src="/icon.svg" width="26" height="26" alt="" />
          querywarden
        </p>
        {again ? (
          <>
            <h2>Log in again</h2>
            <p class="muted">Your session has ended. What you typed is still there.</p>
          </>
        ) : (
          <>
            <h1>Log in</h1>
            <p class="muted">Who is asking the model how, and what was done about it.</p>
          </>
        )}
        {ways.problem && <Failed problem={ways.problem} again={ways.again} />}
        {ways.value?.oidc && (
          <a class="button first wide" href="/oidc/login">
            Log in with {ways.value.oidc}
          </a>
        )}
        {ways.value?.oidc && ways.value.local && <p class="or">or with the local account</p>}
        {ways.value?.local && (
          <form ref={form} onSubmit={(event) => void submit(event)}>
            <Text label="Name" autocomplete="username" required value={name} onInput={(event) => setName(event.currentTarget.value)} />
            <Text
              label="Password"
              type="password"
              autocomplete="current-password"
              required
              value={password}
              onInput={(event) => setPassword(event.currentTarget.value)}
            />
            {problem && <Failed problem={problem} />}
            <button type="submit" class={ways.value.oidc ? "button wide" : "button first wide"} disabled={busy}>
              Log in
            </button>
          </form>
        )}
        {ways.value && !ways.value.local && !ways.value.oidc && (
          <p>No account is configured. The server printed a link for the first visit when it started; open that one.</p>
        )}
      </div>
    </div>
  );
}
