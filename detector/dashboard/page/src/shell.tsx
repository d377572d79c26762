/** What stands around every page: where one is, who one is, whether the news flow. */
import type { ComponentChildren } from "preact";
import { useContext, useEffect, useState } from "preact/hooks";
import { Link, useLocation } from "wouter-preact";
import { ask } from "./api/client";
import { watchConnection } from "./api/live";
import { useRead } from "./api/reading";
import { may, Who, type Role } from "./api/session";
import type * as S from "./api/shapes";
import { choose, chosen, type Theme } from "./parts/theme";
import { count } from "./words/numbers";

interface Place {
  path: string;
  name: string;
  role?: Role;
  also?: string;
}

const PLACES: readonly Place[] = [
  { path: "/", name: "Overview" },
  { path: "/alerts", name: "Alerts" },
  { path: "/clients", name: "Clients", also: "/client" },
  { path: "/thresholds", name: "Thresholds" },
  { path: "/allowed", name: "Allow-list" },
  { path: "/health", name: "Health" },
  { path: "/audit", name: "Audit" },
  { path: "/tokens", name: "API tokens", role: "admin" },
];

export function Shell({ children, onOut }: { children: ComponentChildren; onOut: () => void }) {
  const [open, setOpen] = useState(false);
  const [at] = useLocation();
  useEffect(() => setOpen(false), [at]);
  return (
    <div class="shell">
      <a class="skip" href="#main">
        Skip to the page
      </a>
      <div class="side">
        <div class="side-head">
          <Link href="/" class="brand">
            <img src="/icon.svg" width="22" height="22" alt="" />
            querywarden
          </Link>
          <button type="button" class="button menu" aria-expanded={open} aria-controls="places" onClick={() => setOpen(!open)}>
            Menu
          </button>
        </div>
        <div class={open ? "side-body is-open" : "side-body"} id="places">
          <Places at={at} />
          <Me onOut={onOut} />
        </div>
      </div>
      <main id="main" tabIndex={-1}>
        {children}
      </main>
    </div>
  );
}

function Places({ at }: { at: string }) {
  const session = useContext(Who);
  const { value } = useRead<S.Overview>("/overview", ["alerts", "tape"], true);
  return (
    <nav aria-label="Pages">
      <ul class="places">
        {PLACES.filter((place) => !place.role || may(session, place.role)).map((place) => (
          <li key={place.path}>
            <Link href={place.path} class="place" aria-current={at === place.path || at === place.also ? "page" : undefined}>
              {place.name}
              {place.path === "/alerts" && value !== undefined && value.open_cases > 0 && (
                <span class="tally">
                  {count(value.open_cases)}
                  <span class="unseen"> open</span>
                </span>
              )}
            </Link>
          </li>
        ))}
      </ul>
    </nav>
  );
}

function Me({ onOut }: { onOut: () => void }) {
  const session = useContext(Who);
  const [theme, setTheme] = useState<Theme>(chosen);
  const [connected, setConnected] = useState(false);
  useEffect(() => watchConnection(setConnected), []);
  return (
    <div class="me">
      <p class="me-live" role="status">
        <span class={connected ? "dot is-on" : "dot"} aria-hidden="true" />
        {connected ? "Live" : "Not live: reconnecting"}
      </p>
      <p class="me-name">
        {session?.user} <span class="muted">{session?.role}</span>
      </p>
      <div class="me-row">
        <label class="unseen" for="theme">
          Colours
        </label>
        <select
          id="theme"
          value={theme}
          onChange={(event) => {
            const next = event.currentTarget.value as Theme;
            choose(next);
            setTheme(next);
          }}
        >
          <option value="system">System colours</option>
          <option value="light">Light</option>
          <option value="dark">Dark</option>
        </select>
        <button type="button" class="button" onClick={() => void ask("POST", "/logout").finally(onOut)}>
          Log out
        </button>
      </div>
    </div>
  );
}
