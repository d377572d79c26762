/** Drafts: who wants what changed, who has looked at it, and what the detector said. */
import { useContext, useState } from "preact/hooks";
import { ask, problemIn } from "../api/client";
import type { Read } from "../api/reading";
import { may, Who } from "../api/session";
import type * as S from "../api/shapes";
import type { Page } from "../api/client";
import { AskWhy } from "../parts/dialog";
import { Level, Time } from "../parts/marks";
import { Nothing, Shown } from "../parts/states";
import { score, span } from "../words/numbers";
import { level } from "../words/kinds";
import { ofWall } from "../words/times";

type Deed = "approve" | "withdraw" | "apply";
const VERBS: Record<Deed, string> = { approve: "Approve", withdraw: "Withdraw", apply: "Apply" };

interface Given {
  drafts: Read<Page<S.Draft>>;
  inForce: S.PolicyWord;
  edited: number | null;
  onEdit: (draft: S.Draft) => void;
  onAnew: (draft: S.Draft) => void;
}

export function Drafts({ drafts, inForce, edited, onEdit, onAnew }: Given) {
  const [doing, setDoing] = useState<{ deed: Deed; draft: S.Draft } | null>(null);
  return (
    <section class="panel" aria-labelledby="drafts">
      <h2 id="drafts">Drafts</h2>
      <Shown of={drafts} tall={4}>
        {(page) =>
          page.items.length === 0 ? (
            <Nothing title="No drafts yet">Change a threshold above and save it: it then waits here to be reviewed and applied.</Nothing>
          ) : (
            <ul class="drafts">
              {page.items.map((draft) => (
                <One
                  key={draft.id}
                  of={draft}
                  inForce={inForce}
                  edited={edited === draft.id}
                  onEdit={() => onEdit(draft)}
                  onAnew={() => onAnew(draft)}
                  onDo={(deed) => setDoing({ deed, draft })}
                />
              ))}
            </ul>
          )
        }
      </Shown>
      {doing && (
        <AskWhy
          title={`${VERBS[doing.deed]} draft ${doing.draft.id}: ${doing.draft.title}`}
          verb={VERBS[doing.deed]}
          onClose={() => setDoing(null)}
          onDo={async (why) => {
            try {
              await ask<S.Draft>("POST", `/drafts/${doing.draft.id}/${doing.deed}`, { body: { why }, match: doing.draft.etag });
            } catch (error) {
              if ([409, 412].includes(problemIn(error).status)) drafts.again();
              throw error;
            }
            drafts.again();
          }}
        >
          <Changes of={doing.draft.change} inForce={inForce} />
          {doing.deed === "apply" && <p>The running detectors take it over without a restart, from their next query on.</p>}
        </AskWhy>
      )}
    </section>
  );
}

interface OneGiven {
  of: S.Draft;
  inForce: S.PolicyWord;
  edited: boolean;
  onEdit: () => void;
  onAnew: () => void;
  onDo: (deed: Deed) => void;
}

function One({ of, inForce, edited, onEdit, onAnew, onDo }: OneGiven) {
  const session = useContext(Who);
  const waits = of.state === "draft" || of.state === "approved";
  const overtaken = waits && of.base !== inForce.version;
  const engineer = may(session, "engineer");
  const why = !waits ? "" : notYet(of, session, overtaken);
  return (
    <li class={edited ? "draft is-edited" : "draft"} data-draft={of.id}>
      <div class="draft-head">
        <span class={`state is-${of.state}`}>{of.state}</span>
        <strong>
          {of.id}. {of.title}
        </strong>
        <span class="muted">
          {of.by}, <Time at={ofWall(of.made_at)} />
        </span>
      </div>
      <p class="draft-why">{of.why}</p>
      <Changes of={of.change} inForce={inForce} />
      <p class="muted">
        {of.approved_by && <>Approved by {of.approved_by}. </>}
        {of.applied_by && <>Applied by {of.applied_by}. </>}
        {of.outcome && <>The detector: {of.outcome}. </>}
        {of.version && (
          <>
            Policy <span class="mono">{of.version}</span>.
          </>
        )}
      </p>
      {waits && (
        <div class="actions">
          {engineer && !edited && (
            <button type="button" class="button small" onClick={overtaken ? onAnew : onEdit}>
              {overtaken ? "Draft anew over what is in force" : "Edit"}
            </button>
          )}
          {engineer && of.state === "draft" && of.needs_review && of.by !== session?.user && !overtaken && (
            <button type="button" class="button small" onClick={() => onDo("approve")}>
              Approve
            </button>
          )}
          <button type="button" class="button small first" disabled={why !== ""} onClick={() => onDo("apply")}>
            Apply
          </button>
          {engineer && (
            <button type="button" class="button small quiet" onClick={() => onDo("withdraw")}>
              Withdraw
            </button>
          )}
          {why && <span class="muted">{why}</span>}
        </div>
      )}
    </li>
  );
}

/** Why it cannot be applied by this person now; "" when it can. */
function notYet(of: S.Draft, session: S.Session | null, overtaken: boolean): string {
  if (overtaken) return "Another policy came into force since it was drafted.";
  if (of.needs_review && of.approved_by === null) {
    return of.by === session?.user ? "Somebody else has to approve it first." : "It has to be approved first.";
  }
  if (!may(session, "admin")) return `Applying needs the role admin; yours is ${session?.role ?? "none"}.`;
  return "";
}

export function Changes({ of, inForce }: { of: S.Change; inForce: S.PolicyWord }) {
  return (
    <ul class="changes">
      {Object.entries(of.thresholds ?? {}).map(([name, thresholds]) => (
        <li key={name}>
          <span class="muted">{level(name)}:</span>{" "}
          {thresholds.map((one) => {
            const before = inForce.thresholds[name]?.find((now) => now.severity === one.severity)?.score;
            return (
              <span key={one.severity} class="change-one">
                <Level of={one.severity} /> from {score(one.score)}
                {before !== one.score && <span class="was"> ({before === undefined ? "none" : score(before)} in force)</span>}
              </span>
            );
          })}
        </li>
      ))}
      {of.cool_down_s !== undefined && (
        <li>
          <span class="muted">cool-down:</span> {span(of.cool_down_s)} <span class="was">({span(inForce.cool_down_s)} in force)</span>
        </li>
      )}
      {of.suppressions !== undefined && (
        <li>
          <span class="muted">allow-list:</span> {of.suppressions.length} entries <span class="was">({inForce.suppressions.length} in force)</span>
        </li>
      )}
    </ul>
  );
}
