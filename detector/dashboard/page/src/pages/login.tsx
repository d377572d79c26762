/** The way in: name and password, or the organisation's own login. */
import { useEffect, useRef, useState } from "preact/hooks";
import { ask, problemIn } from "../api/client";
import { useRead } from "../api/reading";
import type * as S from "../api/shapes";
import { Text } from "../parts/fields";
import { Failed } from "../parts/states";
import { sentence } from "../words/kinds";

/** Why the way over the provider led back here; the address forgets it, so that a reload does not say it again. */
function said(): string | null {
  const found = new URLSearchParams(location.search).get("login");
  if (found !== null) history.replaceState(null, "", location.pathname);
  return found;
}

function TurnedAway({ why, of }: { why: string; of: S.Ways }) {
  const provider = of.oidc ?? "the provider";
  const words: Record<string, [string, string]> = {
    refused: ["You have no role here", `You are known to ${provider}, but none of your groups has a role in this dashboard. Ask those who run it for one, then log in again.`],
    away: [`No answer from ${provider}`, of.local ? "Try again in a while, or use the local account." : "Try again in a while."],
  };
  const [title, text] = words[why] ?? ["That login did not come to its end", "It took too long, or was begun in another tab. Try again."];
  return (
    <div class="failed" role="alert">
      <p class="failed-title">{title}</p>
      <p>{text}</p>
    </div>
  );
}

/** again: the session ended while a page was open; it stays behind the form. */
export function Login({ onIn, again }: { onIn: (session: S.Session) => void; again: boolean }) {
  const ways = useRead<S.Ways>("/ways");
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [problem, setProblem] = useState<S.Problem>();
  const [busy, setBusy] = useState(false);
  const [turnedAway] = useState(said);
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
      setProblem(found.status === 401 ? { ...found, title: "You were not let in", detail: sentence(found.detail) } : found);
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
        {!again && turnedAway && ways.value && <TurnedAway why={turnedAway} of={ways.value} />}
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
