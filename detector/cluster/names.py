"""What the topics and groups of some workers are called, and how each topic is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from detector.settings import Settings

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
LARGEST_BYTES = 16 * 1024 * 1024  # of a record: the longest payload that is decoded (10 MiB), and what is around it
STATE_SEGMENT_BYTES = 64 * 1024 * 1024  # compaction leaves the newest segment alone: small, so that recovery is short


@dataclass(frozen=True, slots=True)
class Names:
    """Topics, all but town, sky and policies (which have one) with the same partitions: queries, sums and town are what
    the stages take; state, groups and sky (compacted) what each keeps; policies (compacted) says which hold; alerts,
    held, tape (scores) and letters (dead letters) what is found. Groups: who projects, judges, delivers.
    """

    name: str

    @property
    def queries(self) -> str:
        return f"{self.name}.queries"

    @property
    def state(self) -> str:
        return f"{self.name}.state"

    @property
    def sums(self) -> str:
        return f"{self.name}.sums"

    @property
    def groups(self) -> str:
        return f"{self.name}.groups"

    @property
    def town(self) -> str:
        return f"{self.name}.town"

    @property
    def sky(self) -> str:
        return f"{self.name}.sky"

    @property
    def policies(self) -> str:
        return f"{self.name}.policies"

    @property
    def held(self) -> str:
        return f"{self.name}.held"

    @property
    def alerts(self) -> str:
        return f"{self.name}.alerts"

    @property
    def tape(self) -> str:
        return f"{self.name}.tape"

    @property
    def letters(self) -> str:
        return f"{self.name}.letters"

    @property
    def projecting(self) -> str:
        return f"{self.name}.project"

    @property
    def judging(self) -> str:
        return f"{self.name}.judge"

    @property
    def delivering(self) -> str:
        return f"{self.name}.deliver"

    def writer(self, stage: str, partition: int) -> str:
        """The transactional id of whoever owns a partition: a new owner takes it, and so fences the old one."""
        return f"{self.name}.{stage}-{partition}"


class Wanted(NamedTuple):
    """A topic's partitions, and the settings that it must have."""

    partitions: int
    configs: dict[str, str]


def wanted(settings: Settings) -> dict[str, Wanted]:
    """The topics by name."""
    names, largest = Names(settings.cluster.name), {"max.message.bytes": str(LARGEST_BYTES)}

    def kept(ms: int) -> dict[str, str]:
        return {"cleanup.policy": "delete", "retention.ms": str(ms), **largest}

    all_of_them = settings.cluster.partitions
    between, found = kept(settings.cluster.retention_h * HOUR_MS), kept(settings.store.tape_days * DAY_MS)
    state = {"cleanup.policy": "compact", "segment.bytes": str(STATE_SEGMENT_BYTES), **largest}
    return {
        names.queries: Wanted(all_of_them, between),
        names.sums: Wanted(all_of_them, between),
        names.town: Wanted(1, between),
        names.state: Wanted(all_of_them, state),
        names.groups: Wanted(all_of_them, state),
        names.sky: Wanted(1, state),
        names.policies: Wanted(1, state),
        names.alerts: Wanted(all_of_them, found),
        names.held: Wanted(all_of_them, found),
        names.tape: Wanted(all_of_them, found),
        names.letters: Wanted(all_of_them, found),
    }
