/** API tokens: for scripts, each with a role, an end, and a name to find its owner by. */
import { useContext, useState } from "preact/hooks";
import { ask, problemIn, type Page } from "../api/client";
import { useRead } from "../api/reading";
import { rolesUpTo, useMay, Who, type Role } from "../api/session";
import type * as S from "../api/shapes";
import { Choose, Text } from "../parts/fields";
import { Time } from "../parts/marks";
import { Failed, Nothing, Shown } from "../parts/states";
import { Table } from "../parts/table";
import { Title } from "../parts/title";
import { several } from "../words/numbers";
import { ofWall } from "../words/times";

const DAYS = [7, 30, 90, 180, 366];

export function Tokens() {
  const admin = useMay("admin");
  const list = useRead<Page<S.Token>>(admin ? "/tokens" : null);
  const [made, setMade] = useState<S.Token | null>(null);
  const [problem, setProblem] = useState<S.Problem>();

  async function revoke(token: S.Token) {
    setProblem(undefined);
    try {
      await ask("DELETE", `/tokens/${encodeURIComponent(token.id)}`);
      list.again();
    } catch (error) {
      setProblem(problemIn(error));
    }
  }

  return (
    <>
      <Title name="API tokens">API tokens</Title>
      {!admin ? (
        <Nothing title="For admins">Tokens act for somebody, so only an admin may make and revoke them.</Nothing>
      ) : (
        <>
          <p class="lead">
            A script sends its token in <span class="mono">Authorization: Bearer</span>. Everything that this page does, it may do, as far as its role goes; <a href="/openapi.json">the API's description</a> lists it.
          </p>
          {made?.secret && (
            <div class="notice" role="status">
              <p>
                The secret of <strong>{made.name}</strong>. It is shown this once and kept nowhere:
              </p>
              <p class="secret mono">{made.secret}</p>
              <div class="actions">
                <button type="button" class="button" onClick={() => void navigator.clipboard.writeText(made.secret ?? "")}>
                  Copy
                </button>
                <button type="button" class="button" onClick={() => setMade(null)}>
                  I have it
                </button>
              </div>
            </div>
          )}
          <section class="panel">
            <Shown of={list} tall={8}>
              {(page) =>
                page.items.length === 0 ? (
                  <Nothing title="No tokens">Nothing but people uses the API.</Nothing>
                ) : (
                  <Table
                    name="API tokens"
                    rows={page.items}
                    id={(row) => row.id}
                    columns={[
                      { head: "Name", cell: (row) => row.name },
                      { head: "Role", cell: (row) => row.role },
                      { head: "Made by", cell: (row) => row.by },
                      { head: "Made", cell: (row) => <Time at={ofWall(row.made_at)} /> },
                      { head: "Ends", cell: (row) => <Time at={ofWall(row.expires_at)} how="day" /> },
                      { head: "Last used", cell: (row) => (row.used_at === null ? "never" : <Time at={ofWall(row.used_at)} />) },
                      {
                        head: "",
                        cell: (row) => (
                          <button type="button" class="button small" onClick={() => void revoke(row)}>
                            Revoke
                          </button>
                        ),
                      },
                    ]}
                  />
                )
              }
            </Shown>
            {problem && <Failed problem={problem} />}
          </section>
          <Make
            onMade={(token) => {
              setMade(token);
              list.again();
            }}
          />
        </>
      )}
    </>
  );
}

function Make({ onMade }: { onMade: (token: S.Token) => void }) {
  const session = useContext(Who);
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("viewer");
  const [days, setDays] = useState("90");
  const [problem, setProblem] = useState<S.Problem>();
  const [busy, setBusy] = useState(false);

  async function submit(event: Event) {
    event.preventDefault();
    setBusy(true);
    setProblem(undefined);
    try {
      onMade(await ask<S.Token>("POST", "/tokens", { body: { name: name.trim(), role, days: Number(days) } satisfies S.NewToken }));
      setName("");
    } catch (error) {
      setProblem(problemIn(error));
    }
    setBusy(false);
  }

  return (
    <section class="panel" aria-labelledby="make">
      <h2 id="make">Make a token</h2>
      <form class="grid" onSubmit={(event) => void submit(event)}>
        <Text label="Name" required maxLength={200} value={name} hint="Which script, on which machine." onInput={(event) => setName(event.currentTarget.value)} />
        <Choose label="Role" value={role} options={rolesUpTo(session?.role ?? "viewer").map((one) => [one, one] as const)} onChoose={(to) => setRole(to as Role)} />
        <Choose label="It ends after" value={days} options={DAYS.map((n) => [String(n), several(n, "day")] as const)} onChoose={setDays} />
        {problem && <Failed problem={problem} />}
        <div class="actions">
          <button type="submit" class="button first" disabled={busy || name.trim() === ""}>
            Make it
          </button>
        </div>
      </form>
    </section>
  );
}
