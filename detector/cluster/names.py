"""What the topics and groups of some workers are called, and how each topic is kept."""

from __future__ import annotations

from dataclasses import dataclass

from detector.settings import Settings

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
LARGEST_BYTES = 16 * 1024 * 1024  # of a record: the longest payload that is decoded (10 MiB), and what is around it
STATE_SEGMENT_BYTES = 64 * 1024 * 1024  # compaction leaves the newest segment alone: small, so that recovery is short


@dataclass(frozen=True, slots=True)
class Names:
    """Topics: queries (between the stages), state (compacted), alerts, tape (scores), letters (dead letters); all have
    the same partitions. Groups: who projects, judges, delivers.
    """

    name: str

    @property
    def queries(self) -> str:
        return f"{self.name}.queries"

    @property
    def state(self) -> str:
        return f"{self.name}.state"

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

    def writer(self, partition: int) -> str:
        """The transactional id of whoever owns a partition: a new owner takes it, and so fences the old one."""
        return f"{self.name}.judge-{partition}"


def wanted(settings: Settings) -> dict[str, dict[str, str]]:
    """Each topic with the settings that it must have."""
    names, largest = Names(settings.cluster.name), {"max.message.bytes": str(LARGEST_BYTES)}

    def kept(ms: int) -> dict[str, str]:
        return {"cleanup.policy": "delete", "retention.ms": str(ms), **largest}

    tape_ms = settings.store.tape_days * DAY_MS
    return {
        names.queries: kept(settings.cluster.retention_h * HOUR_MS),
        names.state: {"cleanup.policy": "compact", "segment.bytes": str(STATE_SEGMENT_BYTES), **largest},
        names.alerts: kept(tape_ms),
        names.tape: kept(tape_ms),
        names.letters: kept(tape_ms),
    }
