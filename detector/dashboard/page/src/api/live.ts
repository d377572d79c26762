/** Server-sent events: which kind of thing is new. What it is, whoever shows it asks for himself. */
export type Topic = "alerts" | "policy" | "tape" | "health" | "drafts";
export const TOPICS: readonly Topic[] = ["alerts", "policy", "tape", "health", "drafts"];

type Told = (topic: Topic) => void;
type Changed = (connected: boolean) => void;

const REST_MS = 1_000; // a topic is told at most this often

const listeners = new Map<Topic, Set<Told>>(TOPICS.map((topic) => [topic, new Set()]));
const watchers = new Set<Changed>();
const marks = new Map<Topic, string>();
const pending = new Map<Topic, number>();
let source: EventSource | null = null;
let connected = false;

export function listen(topics: readonly Topic[], told: Told): () => void {
  for (const topic of topics) listeners.get(topic)?.add(told);
  return () => {
    for (const topic of topics) listeners.get(topic)?.delete(told);
  };
}

export function watchConnection(changed: Changed): () => void {
  watchers.add(changed);
  changed(connected);
  return () => watchers.delete(changed);
}

export function connect(): void {
  if (source) return;
  source = new EventSource("/api/v1/events");
  source.addEventListener("open", () => say(true));
  source.addEventListener("error", () => {
    say(false);
    // The browser tries again by itself, except after an answer that was no stream.
    if (source?.readyState === EventSource.CLOSED) {
      source = null;
      window.setTimeout(connect, 5_000);
    }
  });
  for (const topic of TOPICS) source.addEventListener(topic, (event) => arrived(topic, (event as MessageEvent<string>).data));
}

export function disconnect(): void {
  source?.close();
  source = null;
  say(false);
}

/** The first mark of a topic is how things stand; only another one is news. */
function arrived(topic: Topic, mark: string): void {
  const before = marks.get(topic);
  marks.set(topic, mark);
  if (before === undefined || before === mark || pending.has(topic)) return;
  const timer = window.setTimeout(() => {
    pending.delete(topic);
    for (const told of [...(listeners.get(topic) ?? [])]) told(topic);
  }, REST_MS);
  pending.set(topic, timer);
}

function say(now: boolean): void {
  connected = now;
  for (const changed of watchers) changed(now);
}
