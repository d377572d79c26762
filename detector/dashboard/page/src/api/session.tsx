/** Who is logged in, and what he may. */
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type * as S from "./shapes";

export type Role = S.Session["role"];
const ROLES: readonly Role[] = ["viewer", "analyst", "engineer", "admin"];

export const Who = createContext<S.Session | null>(null);

export function may(session: S.Session | null, role: Role): boolean {
  return session !== null && ROLES.indexOf(session.role) >= ROLES.indexOf(role);
}

export function useMay(role: Role): boolean {
  return may(useContext(Who), role);
}

/** Each role may do what those before it may. */
export function rolesUpTo(role: Role): readonly Role[] {
  return ROLES.slice(0, ROLES.indexOf(role) + 1);
}
