/** Who changed what, when and why; and whether that record was tampered with. */
import { useState } from "preact/hooks";
import { query, type Page } from "../api/client";
import { useRead } from "../api/reading";
import type * as S from "../api/shapes";
import { Time } from "../parts/marks";
import { Pager, usePaging } from "../parts/pager";
import { Nothing, Shown } from "../parts/states";
import { Title } from "../parts/title";
import { count, several } from "../words/numbers";
import { ofWall } from "../words/times";

const LIMIT = 50;

export function Audit() {
  const paging = usePaging("audit");
  const [whole, setWhole] = useState(false);
  const state = useRead<S.AuditState>(`/audit/state${query({ whole: whole ? "true" : undefined })}`, whole ? [] : ["drafts", "policy"], true);
  const list = useRead<Page<S.AuditEntry>>(`/audit${query({ cursor: paging.cursor, limit: LIMIT })}`, ["drafts", "policy"], true);
  return (
    <>
      <Title name="Audit">Audit</Title>
      <Shown of={state} tall={4}>
        {(of) => (
          <div class={of.broken_at === null ? "verdict-line is-well" : "verdict-line is-ill"} role="status">
            {of.broken_at === null ? (
              <>
                <strong>The chain holds</strong>
                <p>
                  {of.entries === 0 ? "It has no entry yet." : `${several(of.entries, "entry", "entries")}, each of which follows from what stands before it.`}
                  {of.known > 0 && ` The first ${count(of.known)} were followed at an earlier look.`}
                  {of.head && (
                    <>
                      {" "}
                      The last hash is <span class="mono">{of.head.slice(0, 16)}</span>; compare it with your SIEM's.
                    </>
                  )}
                </p>
                {(of.known > 0 || whole) && (
                  <button type="button" disabled={whole} onClick={() => setWhole(true)}>
                    {state.stale ? "Following all of it" : whole ? "All of it was followed" : "Follow all of it again"}
                  </button>
                )}
              </>
            ) : (
              <>
                <strong>The chain is broken at entry {count(of.broken_at)}</strong>
                <p>That entry does not follow from what stands before it: something was changed or taken out. Your SIEM has the entries as they were sent.</p>
              </>
            )}
          </div>
        )}
      </Shown>
      <section class="panel">
        <Shown of={list} tall={24}>
          {(page) =>
            page.items.length === 0 ? (
              <Nothing title="Nothing was changed yet">Drafts, policies, verdicts, the allow-list, tokens and logins are kept here, with who, when and why.</Nothing>
            ) : (
              <>
                <ol class="audit">
                  {page.items.map((one) => (
                    <Entry key={one.seq} of={one} />
                  ))}
                </ol>
                <Pager paging={paging} shown={page.items.length} total={page.total} next={page.next} limit={LIMIT} busy={list.stale} />
              </>
            )
          }
        </Shown>
      </section>
    </>
  );
}

function Entry({ of }: { of: S.AuditEntry }) {
  return (
    <li>
      <div class="audit-line">
        <span class="muted num">{of.seq}</span>
        <Time at={ofWall(of.made_at)} how="second" />
        <span>
          <strong>{of.who}</strong> <span class="muted">{of.role}</span>
        </span>
        <span class="mono">{of.what}</span>
        <span class="mono audit-subject">{of.subject}</span>
      </div>
      {of.why && <p class="audit-why">{of.why}</p>}
      <details class="behind">
        <summary>Before, after and hash</summary>
        <dl class="audit-both">
          <dt>Before</dt>
          <dd>
            <pre tabIndex={0}>{laidOut(of.before) || "nothing"}</pre>
          </dd>
          <dt>After</dt>
          <dd>
            <pre tabIndex={0}>{laidOut(of.after) || "nothing"}</pre>
          </dd>
          <dt>Hash</dt>
          <dd class="mono wrap">{of.hash}</dd>
        </dl>
      </details>
    </li>
  );
}

function laidOut(json: string): string {
  try {
    return json === "" ? "" : JSON.stringify(JSON.parse(json), null, 1);
  } catch {
    return json;
  }
}
