"""Pseudonyms: ids of clients and groups, replaced right behind decode: nothing later knows whom the log named.

A pseudonym is `p-` and 16 hexadecimal digits of a BLAKE2b (RFC 7693) of level and id, keyed with a secret of the
operator's. The same key gives the same pseudonyms, in `fit` and in `run`; who has the key can find a pseudonym again by
computing it, and nobody can compute a name from it other than by trying names. 64 bits: among a million clients two
share one with a probability of 3e-8.

The log's query ids and the words of a record that cannot be read are not touched: a log that writes names there keeps
them there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from detector.errors import DecodeError, SettingsError, nearest_name
from detector.logs import DECODERS
from detector.logs.contract import Decode, Decoded
from detector.only import Only, filtered
from detector.secret import Secret

CLIENT = "client"
SHORTEST_KEY = 16  # characters: below that, names can be found by trying keys
_FORM = re.compile(r"p-[0-9a-f]{16}")


class Pseudonyms:
    """Computes pseudonyms with a key. Raises SettingsError for one that is too short."""

    def __init__(self, key: str) -> None:
        if len(key) < SHORTEST_KEY:
            raise SettingsError(f"the key of the pseudonyms has {len(key)} characters, it needs {SHORTEST_KEY} or more")
        self._key = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=32).digest()

    def of(self, kind: str, id_: str) -> str:
        """The pseudonym of an entity.

        >>> Pseudonyms("a key that nobody knows").of("client", "alice")
        'p-d34b36d2021469a8'
        """
        digest = hashlib.blake2b(digest_size=8, key=self._key)
        for part in (kind, id_):
            data = part.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(4, "little") + data)
        return f"p-{digest.hexdigest()}"

    def found(self, kind: str, id_: str) -> str:
        """The pseudonym that a person means: the one that he gives, or that of the id that he gives."""
        return id_ if is_pseudonym(id_) else self.of(kind, id_)


def is_pseudonym(text: str) -> bool:
    return _FORM.fullmatch(text) is not None


def decoder(format_: str, key: Secret | None, only: Only | None = None, model: str | None = None) -> Decode:
    """The decoder of a log format, of one use of a model where there are more, with pseudonyms where there is a key.

    Raises SettingsError.
    """
    if format_ not in DECODERS:
        raise SettingsError(f"unknown log format {format_!r}; {nearest_name(format_, DECODERS)}")
    decode = DECODERS[format_] if only is None else filtered(DECODERS[format_], only, model)
    return decode if key is None else pseudonymous(decode, Pseudonyms(key.reveal()))


def mark(key: Secret | None) -> str:
    """What tells stores of one key from those of another; empty without a key. Raises SettingsError."""
    return "" if key is None else Pseudonyms(key.reveal()).of("", "")


def pseudonymous(decode: Decode, pseudonyms: Pseudonyms) -> Decode:
    """The same format, whose queries and refusals name pseudonyms. Costs 0.6 µs a query."""

    def decoded(payloads: Sequence[bytes]) -> Decoded:
        known = _Known(pseudonyms)
        queries, sources, refused = decode(payloads)
        clients = known[CLIENT]
        named = [
            replace(query, client=clients[query.client], groups=query.groups and known.groups(query.groups))
            for query in queries
        ]
        return named, sources, [(i, _renamed(error, clients[error.client])) for i, error in refused]

    return decoded


def _renamed(error: DecodeError, client: str | None) -> DecodeError:
    """The same refusal of another client."""
    e = error
    return DecodeError(e.reason, str(e), client=client, at=e.at, model=e.model, version=e.version, answered=e.answered)


class _Of(dict[str | None, str | None]):
    """The pseudonyms of a level, computed once for each id; nobody stays nobody."""

    def __init__(self, pseudonyms: Pseudonyms, kind: str) -> None:
        super().__init__({None: None})
        self._pseudonyms, self._kind = pseudonyms, kind

    def __missing__(self, id_: str) -> str:
        found = self[id_] = self._pseudonyms.of(self._kind, id_)
        return found


class _Known(dict[str, _Of]):
    """Those of one chunk, by level: nothing keeps a table of all names."""

    def __init__(self, pseudonyms: Pseudonyms) -> None:
        super().__init__()
        self._pseudonyms = pseudonyms

    def __missing__(self, kind: str) -> _Of:
        found = self[kind] = _Of(self._pseudonyms, kind)
        return found

    def groups(self, named: Mapping[str, str]) -> dict[str, str | None]:
        return {kind: self[kind][id_] for kind, id_ in named.items()}
