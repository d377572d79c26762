/** One case in the queue. */
import type * as S from "../api/shapes";
import { Level, Time, Verdict } from "../parts/marks";
import { likely, several } from "../words/numbers";
import { capital, kind, level } from "../words/kinds";
import { ofLog } from "../words/times";

interface Given {
  of: S.CaseRow;
  open: boolean;
  picked: boolean;
  /** The one that Tab comes to; the others are come by with j and k. */
  reachable: boolean;
  onFocus: () => void;
  onOpen: () => void;
  onPick: () => void;
}

export function CaseItem({ of, open, picked, reachable, onFocus, onOpen, onPick }: Given) {
  const who = `${of.level === "client" ? "" : `${level(of.level)} `}${of.id}`;
  return (
    <li class={open ? "case is-open" : "case"} aria-current={open ? "true" : undefined}>
      <label class="case-pick">
        <span class="unseen">Pick the case of {who}</span>
        <input type="checkbox" checked={picked} onChange={onPick} />
      </label>
      <div class="case-body" data-case={of.case_id} tabIndex={reachable ? 0 : -1} role="button" onFocus={onFocus} onClick={onOpen}>
        <div class="case-line">
          <Level of={of.severity} />
          <span class="mono case-who">{who}</span>
          {of.said ? <Verdict of={of.said.answer} /> : of.state !== "open" && <span class={`state is-${of.state}`}>{of.state}</span>}
          <span class="case-odds" title="What triage says from the verdicts that were given">
            {of.probability === null ? <span class="muted">no estimate</span> : <>{likely(of.probability)} attack</>}
          </span>
        </div>
        <p class="case-why">
          <strong>{capital(kind(of.kind))}.</strong> {of.reason}
        </p>
        <p class="case-when muted">
          <Time at={ofLog(of.at)} />, after {several(of.queries, "query", "queries")}
        </p>
      </div>
    </li>
  );
}
