"""Who asks, by which way he came in, and whether his role is enough."""

from __future__ import annotations

import hashlib
import hmac

import msgspec

from detector.dashboard_settings import ROLES, Role


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """id: his alone, such as `local:anna` or `oidc:SUBJECT`; a token has that of whom it was made by. name: as people
    call him. secret: of the session, "" for a token. expires_at: wall clock, seconds.
    """

    id: str
    name: str
    role: Role
    expires_at: float
    secret: str = ""

    @property
    def who(self) -> str:
        """For the audit: the name, and the id where the name alone could be taken by somebody else."""
        return f"{self.name} [{self.id}]" if self.id.startswith("oidc:") else self.name

    @property
    def csrf(self) -> str:
        """What a page of ours knows and another site cannot read; it tells nothing of the secret."""
        return hashlib.sha256(f"csrf:{self.secret}".encode()).hexdigest()

    def same_csrf(self, given: str) -> bool:
        return bool(self.secret) and hmac.compare_digest(self.csrf.encode(), given.encode("utf-8", "surrogatepass"))


def may(role: Role, wanted: Role) -> bool:
    """
    >>> may("admin", "viewer"), may("viewer", "analyst")
    (True, False)
    """
    return ROLES.index(role) >= ROLES.index(wanted)
