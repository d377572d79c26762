"""One use of a model out of several: which records of the log it is that a profile is for, by a key that the log names.

A model that scores a shop's checkouts by day and a whole catalogue by night is asked in two ways, and the honest of one
use are odd in the other. They are told apart by a group of the log that the operator fixes, never by how they ask: who
chooses how he asks would choose who he is compared with.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from detector.errors import DecodeError
from detector.logs.contract import MISSING, Decode, Decoded
from detector.query import Query


class Only(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The queries whose `groups` say `value` for `group`.

    group: a key of the log's `groups` that the operator's side writes, such as `use`.
    value: what it must be.
    """

    group: str
    value: str

    @property
    def text(self) -> str:
        return f"{self.group}={self.value}"


def filtered(decode: Decode, only: Only, model: str | None = None) -> Decode:
    """The same format, of which only one use is seen; it goes right behind decode, before pseudonyms.

    model: whose queries are told apart; None: those of all models. A record that does not say of which use it is, is
    refused in every use, and counts against its client as one that cannot be read does: leaving the key out must not
    be a way not to be judged. Of a record with several queries one refusal tells.
    """

    def decoded(payloads: Sequence[bytes]) -> Decoded:
        queries, sources, refused = decode(payloads)
        uses = [_use(query, only, model) for query in queries]
        kept = [i for i, use in enumerate(uses) if use == only.value]
        said = {source for source, _ in refused}
        unsaid: dict[int, DecodeError] = {}
        for query, source, use in zip(queries, sources, uses, strict=True):
            if use is None and source not in said and source not in unsaid:
                message = f"groups.{only.group} is missing, which tells the uses of the model apart"
                unsaid[source] = DecodeError(MISSING, message, client=query.client, at=query.at)
        together = sorted([*refused, *unsaid.items()], key=lambda one: one[0])
        return [queries[i] for i in kept], [sources[i] for i in kept], together

    return decoded


def _use(query: Query, only: Only, model: str | None) -> str | None:
    if model is not None and query.model != model:
        return only.value  # none of ours to tell apart
    return query.groups.get(only.group) if query.groups else None
