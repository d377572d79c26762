"""Entity classes: who is no person but declared automation or a backend, and is judged against its own kind.

People are the rest. A declaration names a client or a logged group, ends by itself, and has a hard budget and a second
person behind it (design: the class launderer). It changes which law weighs a client's queries from then on, never the
client's counts: who was odd before it is so after.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from detector.policy import Dated, Declaration, in_force
from detector.query import I64, Query

PEOPLE = ""
CLASSES = ("automation", "backend")
LEAKS_BY_TRADE = ("backend",)  # a backend gathers a population's queries: exposure tells nothing about it


class Declared:
    """Declarations, found by client and by group."""

    def __init__(self, declarations: Iterable[Declaration]) -> None:
        self._of: dict[str, dict[str, Declaration]] = {}
        for one in declarations:
            self._of.setdefault(one.kind, {})[one.id] = one

    def __bool__(self) -> bool:
        return bool(self._of)

    def of(self, query: Query) -> str:
        """The class of who asked, PEOPLE where no declaration holds. A client's own comes before its groups'."""
        found = self._of.get("client", {}).get(query.client or "")
        if found is None:
            groups = query.groups or {}
            found = next((of[groups[kind]] for kind, of in self._of.items() if groups.get(kind) in of), None)
        return PEOPLE if found is None or query.at >= found.until else found.name


class Roster:
    """Which of the `levels` (by class, PEOPLE first) takes a query, under the policies in force."""

    def __init__(self, levels: Sequence[str]) -> None:
        self._place = {name: place for place, name in enumerate(levels)}
        self._known: dict[str, Declared] = {}

    def places(self, policies: Sequence[Dated], queries: Sequence[Query]) -> I64:
        """(n,): 0 for people, and for a class that the profile knows nothing of."""
        if not any(dated.policy.classes for dated in policies):
            return np.zeros(len(queries), np.int64)
        return np.array([self._place.get(self._class(policies, query), 0) for query in queries], np.int64)

    def _class(self, policies: Sequence[Dated], query: Query) -> str:
        policy = in_force(policies, query.at)
        known = self._known.get(policy.version)
        if known is None:
            known = self._known[policy.version] = Declared(policy.classes)
        return known.of(query)
