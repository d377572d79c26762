/** The allow-list: entities that nobody is alerted on for a while. Every entry ends. */
import { useState } from "preact/hooks";
import { ask, problemIn, query, type Page } from "../api/client";
import { useRead } from "../api/reading";
import { useMay } from "../api/session";
import type * as S from "../api/shapes";
import { Text, Words } from "../parts/fields";
import { EntityLink, Hint, Time } from "../parts/marks";
import { Failed, Nothing, Shown } from "../parts/states";
import { Table } from "../parts/table";
import { Title } from "../parts/title";
import { ofLog, ofTyped, typed, US } from "../words/times";

const WEEK_MS = 7 * 86_400_000;

export function Allowed() {
  const list = useRead<Page<S.Allowed>>("/allowed", ["policy"]);
  const overview = useRead<S.Overview>("/overview", ["tape"]);
  const admin = useMay("admin");
  const [said, setSaid] = useState("");
  const [problem, setProblem] = useState<S.Problem>();

  async function drop(one: S.Allowed) {
    setProblem(undefined);
    try {
      const draft = await ask<S.Draft>("DELETE", `/allowed${query({ kind: one.kind, id: one.id })}`);
      setSaid(draft.outcome || `${one.id} is alerted on again as soon as the detector has taken it.`);
      list.again();
    } catch (error) {
      setProblem(problemIn(error));
    }
  }

  return (
    <>
      <Title name="Allow-list">Allow-list</Title>
      <p class="lead">Nobody is alerted on these until the time that is given, in the log's time. Their evidence is counted all the while: when an entry ends, the score stands where it stands.</p>
      <section class="panel">
        <Shown of={list} tall={8}>
          {(page) =>
            page.items.length === 0 ? (
              <Nothing title="Nobody is on it">Everybody who passes a threshold is alerted on.</Nothing>
            ) : (
              <Table
                name="Allow-list"
                rows={page.items}
                id={(row) => `${row.kind} ${row.id}`}
                columns={[
                  { head: "Entity", cell: (row) => <EntityLink of={row.kind} id={row.id} /> },
                  { head: "Until", cell: (row) => <Time at={ofLog(row.until)} /> },
                  { head: "Why", cell: (row) => <span class="narrow">{row.reason}</span> },
                  {
                    head: "",
                    cell: (row) => (
                      <button type="button" class="button small" disabled={!admin} title={admin ? "" : "This needs the role admin"} onClick={() => void drop(row)}>
                        Take off
                      </button>
                    ),
                  },
                ]}
              />
            )
          }
        </Shown>
        {problem && <Failed problem={problem} />}
        <p class="hint" role="status">
          {said}
        </p>
      </section>
      {admin ? (
        <Add
          now={overview.value?.until ?? null}
          onAdded={(draft) => {
            setSaid(draft.outcome || "Sent to the detector.");
            list.again();
          }}
        />
      ) : (
        <Hint>Changing the list needs the role admin.</Hint>
      )}
    </>
  );
}

/** now: the log's time, which may be far from the clock's. */
function Add({ now, onAdded }: { now: number | null; onAdded: (draft: S.Draft) => void }) {
  const [kind, setKind] = useState("client");
  const [id, setId] = useState("");
  const [until, setUntil] = useState("");
  const [reason, setReason] = useState("");
  const [problem, setProblem] = useState<S.Problem>();
  const [busy, setBusy] = useState(false);
  const shown = until || typed(new Date((now === null ? Date.now() : now / US) + WEEK_MS));

  async function submit(event: Event) {
    event.preventDefault();
    const at = ofTyped(shown);
    if (!at) return;
    setBusy(true);
    setProblem(undefined);
    try {
      const body = { kind: kind.trim(), id: id.trim(), until: at.getTime() * US, reason: reason.trim() } satisfies S.Allowed;
      onAdded(await ask<S.Draft>("POST", "/allowed", { body }));
      setId("");
      setReason("");
    } catch (error) {
      setProblem(problemIn(error));
    }
    setBusy(false);
  }

  return (
    <section class="panel" aria-labelledby="add">
      <h2 id="add">Put somebody on it</h2>
      <form class="grid" onSubmit={(event) => void submit(event)}>
        <Text label="Kind" required maxLength={100} value={kind} hint="client, or a group that the log names, such as organisation" onInput={(event) => setKind(event.currentTarget.value)} />
        <Text label="Id" required maxLength={1_000} value={id} spellcheck={false} onInput={(event) => setId(event.currentTarget.value)} />
        <Text label="Until" type="datetime-local" required value={shown} hint="Your zone. It never lasts for ever." onInput={(event) => setUntil(event.currentTarget.value)} />
        <Words label="Why" required maxLength={2_000} value={reason} onInput={(event) => setReason(event.currentTarget.value)} />
        {problem && <Failed problem={problem} />}
        <div class="actions">
          <button type="submit" class="button first" disabled={busy || id.trim() === "" || reason.trim() === ""}>
            Add
          </button>
        </div>
      </form>
    </section>
  );
}
