/** Saving what was changed as a draft; and when somebody else saved meanwhile, both versions side by side. */
import { useState } from "preact/hooks";
import { ask, problemIn } from "../api/client";
import { useMay } from "../api/session";
import type * as S from "../api/shapes";
import { Text, Words } from "../parts/fields";
import { Hint } from "../parts/marks";
import { Failed } from "../parts/states";
import { Table } from "../parts/table";
import { score } from "../words/numbers";
import { differences, isEmpty, sameChange } from "./editing";
import { FRESH, of as unsavedOf, type Unsaved } from "./kept";

interface Given {
  unsaved: Unsaved;
  inForce: S.PolicyWord;
  /** The edited draft as the server has it now. */
  theirs: S.Draft | undefined;
  onChange: (unsaved: Unsaved) => void;
  onSaved: (draft: S.Draft) => void;
}

export function Drafting({ unsaved, inForce, theirs, onChange, onSaved }: Given) {
  const engineer = useMay("engineer");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<S.Problem>();
  const [refused, setRefused] = useState("");
  const editing = unsaved.draft !== null;
  const overtaken = editing && theirs !== undefined && theirs.etag !== unsaved.etag;
  const moved = !isEmpty(unsaved.change) && unsaved.base !== "" && unsaved.base !== inForce.version;

  async function save(match: string, base: string) {
    setBusy(true);
    setProblem(undefined);
    const body = { title: unsaved.title.trim(), why: unsaved.why.trim(), base, change: unsaved.change } satisfies S.NewDraft;
    try {
      const saved = editing
        ? await ask<S.Draft>("PUT", `/drafts/${unsaved.draft}`, { body, match })
        : await ask<S.Draft>("POST", "/drafts", { body });
      setRefused("");
      onSaved(saved);
    } catch (error) {
      const found = problemIn(error);
      if (found.status === 412) setRefused(match);
      else setProblem(found);
    } finally {
      setBusy(false);
    }
  }

  if (isEmpty(unsaved.change) && !editing) {
    return <Hint>Drag a threshold or type one: nothing changes for anybody until a draft is saved, reviewed and applied.</Hint>;
  }
  const conflict = overtaken || (refused !== "" && refused === unsaved.etag);
  return (
    <form
      class="drafting"
      aria-label="Draft"
      onSubmit={(event) => {
        event.preventDefault();
        void save(unsaved.etag, editing && !moved ? unsaved.base : inForce.version);
      }}
    >
      <h2>{editing ? `Draft ${unsaved.draft}` : "Save as a draft"}</h2>
      {moved && (
        <div class="notice" role="status">
          <p>
            The policy in force has become <span class="mono">{inForce.version}</span> since this was begun over <span class="mono">{unsaved.base}</span>.
            What you changed stands and is compared with the new one.
          </p>
          <button type="button" class="button" onClick={() => onChange({ ...unsaved, base: inForce.version })}>
            Go on over the policy in force
          </button>
        </div>
      )}
      {conflict && theirs && (
        <Conflict
          mine={unsaved}
          theirs={theirs}
          busy={busy || theirs.etag === unsaved.etag}
          onMine={() => {
            onChange({ ...unsaved, etag: theirs.etag });
            void save(theirs.etag, unsaved.base);
          }}
          onTheirs={() => {
            setRefused("");
            onChange(unsavedOf(theirs));
          }}
        />
      )}
      <Text
        label="Title"
        required
        maxLength={200}
        value={unsaved.title}
        hint="What a reviewer reads first."
        onInput={(event) => onChange({ ...unsaved, title: event.currentTarget.value })}
      />
      <Words
        label="Why"
        required
        maxLength={2_000}
        value={unsaved.why}
        hint="Kept in the audit."
        onInput={(event) => onChange({ ...unsaved, why: event.currentTarget.value })}
      />
      {problem && <Failed problem={problem} />}
      <div class="actions">
        <button type="submit" class="button first" disabled={!engineer || busy || conflict || isEmpty(unsaved.change) || unsaved.title.trim() === "" || unsaved.why.trim() === ""}>
          {editing ? "Save the draft" : "Save as a draft"}
        </button>
        <button type="button" class="button" onClick={() => onChange(FRESH)}>
          {editing ? "Leave it" : "Discard"}
        </button>
        {!engineer && <span class="muted">You can try anything here. Saving needs the role engineer.</span>}
      </div>
    </form>
  );
}

interface ConflictGiven {
  mine: Unsaved;
  theirs: S.Draft;
  busy: boolean;
  onMine: () => void;
  onTheirs: () => void;
}

function Conflict({ mine, theirs, busy, onMine, onTheirs }: ConflictGiven) {
  const rows = differences(mine.change, theirs.change, score);
  if (mine.title !== theirs.title) rows.push({ what: "title", mine: mine.title, theirs: theirs.title });
  if (mine.why !== theirs.why) rows.push({ what: "why", mine: mine.why, theirs: theirs.why });
  return (
    <div class="conflict" role="alert">
      <h3>Somebody else saved this draft while you were at it</h3>
      <p>Nothing is lost: what you typed is still below, and theirs is saved. Say which one holds.</p>
      {rows.length === 0 && sameChange(mine.change, theirs.change) ? (
        <p>Both say the same.</p>
      ) : (
        <Table
          name="The two versions"
          rows={rows}
          id={(row) => row.what}
          columns={[
            { head: "", cell: (row) => row.what },
            { head: "Yours", cell: (row) => row.mine },
            { head: "Theirs", cell: (row) => row.theirs },
          ]}
        />
      )}
      <div class="actions">
        <button type="button" class="button" disabled={busy} onClick={onMine}>
          Save mine over theirs
        </button>
        <button type="button" class="button" disabled={busy} onClick={onTheirs}>
          Take theirs
        </button>
      </div>
    </div>
  );
}
