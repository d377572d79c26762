"""What an operator says about any cluster that keeps alerts in a data stream: where it is, and which stream."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec

from detector.errors import SettingsError
from detector.secret import Secret
from sinks.data_stream_faults import address_faults, name_faults, tls_faults


class DataStreamSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings that every product has. Raises SettingsError for the first that cannot be.

    example: a right address; credentials: the settings that they belong into, as a sentence part.
    """

    example: ClassVar[str]
    credentials: ClassVar[str] = "`username` and `password`"

    url: str | tuple[str, ...]
    name: str
    namespace: str = "default"
    dataset: str = "querywarden.alert"
    username: str | None = None
    password: Secret | None = None
    ca_certs: str | None = None
    ssl_assert_fingerprint: str | None = None
    verify: bool = True
    timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 10.0
    batch_size: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 500

    def __post_init__(self) -> None:
        for fault in self._faults():
            raise SettingsError(f'sink "{self.name}": {fault}')

    @property
    def urls(self) -> tuple[str, ...]:
        return (self.url,) if isinstance(self.url, str) else self.url

    @property
    def stream(self) -> str:
        return f"logs-{self.dataset}-{self.namespace}"

    def _faults(self) -> list[str]:
        tls = self.ca_certs is not None or self.ssl_assert_fingerprint is not None or not self.verify
        return [
            *address_faults(self.urls, example=self.example, credentials=self.credentials),
            *self._credential_faults(),
            *name_faults(dataset=self.dataset, namespace=self.namespace),
            *tls_faults(self.urls, asked_for=tls),
        ]

    def _credential_faults(self) -> list[str]:
        if (self.username is None) != (self.password is None):
            return ["`username` and `password` go together"]
        return []
