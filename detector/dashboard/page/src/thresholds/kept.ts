/** What was typed and not saved yet, kept in the tab: a reload or a new login loses nothing. */
import type * as S from "../api/shapes";
import { isEmpty } from "./editing";

/** draft, etag: of the saved draft that is edited; null for a new one. base: version that it is meant over. */
export interface Unsaved {
  change: S.Change;
  base: string;
  draft: number | null;
  etag: string;
  title: string;
  why: string;
}

const KEY = "querywarden.unsaved";

export const FRESH: Unsaved = { change: {}, base: "", draft: null, etag: "", title: "", why: "" };

export function remembered(): Unsaved {
  try {
    const text = sessionStorage.getItem(KEY);
    return text === null ? FRESH : { ...FRESH, ...(JSON.parse(text) as Partial<Unsaved>) };
  } catch {
    return FRESH; // Storage is off, or not ours.
  }
}

export function remember(now: Unsaved): void {
  try {
    if (isEmpty(now.change) && now.title === "" && now.why === "") sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, JSON.stringify(now));
  } catch {
    // Storage is off: it holds until the page is left.
  }
}

export function of(draft: S.Draft): Unsaved {
  return { change: draft.change, base: draft.base, draft: draft.id, etag: draft.etag, title: draft.title, why: draft.why };
}
