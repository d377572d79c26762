"""The log formats that can be read, by the name that the settings use."""

from __future__ import annotations

from detector.logs import native
from detector.logs.contract import Decode

DECODERS: dict[str, Decode] = {
    "native": native.decode_many,
}
