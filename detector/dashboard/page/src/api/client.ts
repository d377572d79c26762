/** One request to the API: the session's token goes with it, and a refusal comes back as its problem. */
import type * as S from "./shapes";

export interface Page<T> {
  items: T[];
  total: number;
  next: string | null;
}

export class Refused extends Error {
  constructor(readonly problem: S.Problem) {
    super(problem.detail || problem.title);
  }
}

export interface Sent {
  body?: unknown;
  /** The etag of what is changed, for `If-Match`. */
  match?: string;
  signal?: AbortSignal;
}

const ROOT = "/api/v1";
let csrf = "";
let lost: () => void = () => undefined;

export function speakAs(session: S.Session | null): void {
  csrf = session?.csrf ?? "";
}

/** Who wants to know that the session is over. */
export function whenLost(told: () => void): void {
  lost = told;
}

export function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return ask<T>("GET", path, signal ? { signal } : {});
}

export async function ask<T>(method: string, path: string, sent: Sent = {}): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (method !== "GET") headers["X-CSRF-Token"] = csrf;
  if (sent.body !== undefined) headers["Content-Type"] = "application/json";
  if (sent.match !== undefined) headers["If-Match"] = sent.match;
  let answer: Response;
  try {
    answer = await fetch(ROOT + path, {
      method,
      headers,
      credentials: "same-origin",
      cache: "no-store",
      ...(sent.body === undefined ? {} : { body: JSON.stringify(sent.body) }),
      ...(sent.signal ? { signal: sent.signal } : {}),
    });
  } catch (error) {
    if (sent.signal?.aborted) throw error;
    throw new Refused(said(0, "The dashboard's server does not answer", "It may be restarting. Nothing that you typed is lost."));
  }
  if (answer.ok) return (answer.status === 204 ? undefined : await answer.json()) as T;
  const problem = await problemOf(answer);
  if (problem.status === 401 && path !== "/login" && path !== "/session") lost();
  throw new Refused(problem);
}

async function problemOf(answer: Response): Promise<S.Problem> {
  const text = await answer.text();
  try {
    const found = JSON.parse(text) as Partial<S.Problem>;
    if (typeof found.title === "string") return { ...said(answer.status, found.title, found.detail ?? ""), ...found };
  } catch {
    // No JSON: a proxy's page, perhaps.
  }
  return said(answer.status, `The server answered ${answer.status}`, "");
}

function said(status: number, title: string, detail: string): S.Problem {
  return { type: "about:blank", status, title, detail };
}

export function problemIn(error: unknown): S.Problem {
  if (error instanceof Refused) return error.problem;
  return said(0, "Something on this page went wrong", error instanceof Error ? error.message : String(error));
}

/** "?a=b" of what is set; "" of nothing. */
export function query(of: Record<string, string | number | null | undefined>): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(of)) {
    if (value !== null && value !== undefined && value !== "") search.set(name, String(value));
  }
  const text = search.toString();
  return text ? `?${text}` : "";
}
