"""The books of a store: all that the API asks, read beside the detector that writes it, from many threads at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.dashboard.books import Books, Unknown
from detector.dashboard.reading import entity, health, queue
from detector.dashboard.reading.casing import Told, alerts_of
from detector.dashboard.reading.levels import calibrated, level_words, signal_words
from detector.dashboard.reading.mapping import NO_MAP, map_of
from detector.dashboard.reading.people import Someone
from detector.dashboard.reading.tapes import StoreTape, Tape
from detector.dashboard.reading.view import Files, View, Views, marks_of
from detector.dashboard.shapes import (
    Allowed,
    Ask,
    AskPromise,
    CaseRow,
    CaseView,
    Change,
    EntityRow,
    EntityView,
    Hand,
    HealthWord,
    Histogram,
    Map,
    Mattered,
    Overview,
    Page,
    PolicyWord,
    Preview,
    Promised,
    Said,
    Say,
    Sort,
    Timeline,
)
from detector.dashboard.whatif import promised
from detector.dashboard.whatif.columns import Columns
from detector.dashboard.whatif.drafting import changed, told
from detector.dashboard.whatif.histogram import histogram
from detector.dashboard.whatif.preview import preview, side
from detector.dashboard.whatif.trial import Trial, trial
from detector.dashboard.whatif.weather import Weather, weather
from detector.errors import SettingsError, StoreError
from detector.policy import Dated, Policy
from detector.profile import artefact
from detector.profile.artefact import Profile
from detector.profile.report import span
from detector.rings.accounts import ACCOUNT
from detector.run.store import request_policy
from detector.run.verdicts import cases
from detector.settings import Settings, micros
from detector.spanning import openings_per_query
from detector.tape import Point, score_of


class StoreBooks:
    """The books of the store that the settings name, whose rows belong to `profile`.

    Raises StoreError when there is no store, or it belongs to another profile. tape: where its points are read; None:
    from the store. check_s: how old what is told may be.
    """

    def __init__(self, settings: Settings, profile: Profile, tape: Tape | None = None, check_s: float = 0.5) -> None:
        self._settings, self._profile = settings, profile
        self._folder = Path(settings.store.path)
        self._files = Files(self._folder, profile)
        self._tape = tape or StoreTape(self._folder, settings.store.tape_days)
        self._views = Views(self._files, profile, self._tape, check_s)
        before = settings.run.no_alerts_before
        self._alerts_from = micros(before) if before else 0
        self._was: tuple[View, Trial, Weather] | None = None
        self._per_query = openings_per_query(profile)
        self._queue = queue.Queue(self._files, profile)
        self._seen_at: float | None = None

    def columns(self) -> Columns:
        """The tape as it is tried."""
        return self._views.now().columns

    # -- the model and its policies

    def overview(self) -> Overview:
        view, summary = self._views.now(), self._profile.summary
        counts = self._counts(view)
        return Overview(
            model=summary.model,
            profile=summary.id,
            version=health.VERSION,
            kit=summary.kit,
            horizon=span(summary.horizon),
            state=summary.state,
            levels=level_words(self._profile, view.standing, counts),
            signals=signal_words(self._profile),
            since=view.columns.since,
            until=view.columns.until,
            points=len(view.columns),
            entities=_judged(view),
            open_cases=sum(one.accused and one.state == "open" for one in view.told.values()),
            needs_review=False,
        )

    def policies(self) -> tuple[PolicyWord, ...]:
        journal = self._views.now().journal
        last = len(journal) - 1
        return tuple(told(journal[at], in_force=at == last) for at in range(last, -1, -1))

    def histogram(self, level: str) -> Histogram:
        view = self._views.now()
        self._known_level(level)
        return histogram(view.columns, level, self._counts(view).get(level, 0), view.answers(time.time()))

    def preview(self, ask: Ask) -> Preview:
        began = time.perf_counter()
        view = self._views.now()
        policy = self._changed(view, ask.change)
        was = self._under_the_journal(view)
        would = self._tried(view, [Dated(0, policy)])
        over = self._span(view, ask)
        promises = [
            promised.of_score(known, one.severity, one.score)
            for level, known in calibrated(self._profile, view.standing).items()
            for one in policy.thresholds.get(level, ())
        ]
        found = preview(
            view.columns,
            side(view.columns, *was, *over),
            side(view.columns, *would, *over),
            policy,
            view.answers(time.time()),
            promises,
            over,
            ask.listed,
        )
        return msgspec.structs.replace(found, took_ms=1e3 * (time.perf_counter() - began))

    def promise(self, ask: AskPromise) -> Promised:
        if (ask.share is None) == (ask.score is None):
            raise SettingsError("give either a share or a score")
        self._known_level(ask.level)
        known = calibrated(self._profile, self._views.now().standing)[ask.level]
        if ask.share is not None:
            return promised.of_share(known, ask.severity, ask.share)
        assert ask.score is not None
        return promised.of_score(known, ask.severity, ask.score)

    def _changed(self, view: View, change: Change) -> Policy:
        return changed(view.journal[-1].policy, change, self._profile.summary.policy.thresholds)

    def _tried(self, view: View, journal: Sequence[Dated]) -> tuple[Trial, Weather]:
        found = trial(view.columns, journal, self._alerts_from)
        return found, weather(view.columns, found, journal, self._per_query)

    def _under_the_journal(self, view: View) -> tuple[Trial, Weather]:
        known = self._was
        if known is None or known[0].columns is not view.columns or known[0].journal != view.journal:
            known = self._was = view, *self._tried(view, view.journal)
        return known[1:]

    def _span(self, view: View, ask: Ask) -> tuple[int, int]:
        first, last = view.columns.since or 0, view.columns.until or 0
        since = first if ask.since is None else max(ask.since, first)
        until = last + 1 if ask.until is None else min(ask.until, last + 1)
        return since, max(since, until)

    def _known_level(self, level: str) -> None:
        if level not in {one.kind for one in self._profile.summary.levels}:
            raise Unknown(f"the profile judges no level {level}")

    def _counts(self, view: View) -> dict[str, int]:
        """Entities by level; those of a class are counted under it."""
        found = view.people.counts()
        for group in view.columns.groups:
            kind, _, of_class = group.partition(":")
            if of_class:
                found[group] = len(view.columns.of_group(group))
                found[kind] = found.get(kind, 0) - found[group]
        return found

    # -- who asks

    def entities(self, level: str | None, search: str, sort: Sort, cursor: str | None, limit: int) -> Page[EntityRow]:
        view, now = self._views.now(), time.time()
        found, total, following = view.people.listed(self._of_level(view, level), search, sort, cursor, limit)
        latest = self._tape.latest(one.key for one in found)
        return Page(tuple(self._row(view, one, latest.get(one.key), now) for one in found), total, following)

    def _of_level(self, view: View, level: str | None) -> NDArray[np.bool_] | None:
        people = view.people
        if level is None:
            return None
        self._known_level(level)
        kind, _, of_class = level.partition(":")
        found = people.of_kind(kind)
        groups = [group for group in view.columns.groups if group.startswith(f"{kind}:")]
        if groups:
            keys = {view.columns.who[e].key for group in groups for e in view.columns.of_group(group).tolist()}
            mine = {view.columns.who[e].key for e in view.columns.of_group(level).tolist()}
            wanted = [(key in mine) if of_class else (key not in keys) for key in people.keys]
            found &= np.array(wanted, np.bool_)
        return found

    def _row(self, view: View, one: Someone, latest: bytes | None, now: float) -> EntityRow:
        open_case = view.open_case(one.kind, one.id)
        place = view.columns.place_of.get(one.key, view.columns.entities)
        peak = max(one.peak, int(view.columns.peak[place]) if place < view.columns.entities else 0)
        point = _POINT.decode(latest) if latest else None
        return EntityRow(
            level=one.kind,
            id=one.id,
            score=score_of(one.level) if one.level else None,
            peak=score_of(peak) if peak else None,
            queries=one.queries,
            last_at=one.last_at,
            clone=one.clone if one.clone >= 0 else None,
            case_id=open_case.newest.case_id if open_case else None,
            severity=open_case.accusing.severity if open_case else None,
            said=view.said(one.key, now),
            strongest=entity.strongest(point, self._profile.kit.names) if point else "",
        )

    def _someone(self, view: View, level: str, id_: str) -> Someone:
        found = view.people.find(level.partition(":")[0], id_)
        if found is None or found.kind == ACCOUNT:
            raise Unknown(f"no {level} {id_} is known")
        return found

    def entity(self, level: str, id_: str) -> EntityView:
        view, now = self._views.now(), time.time()
        one = self._someone(view, level, id_)
        row = self._row(view, one, self._tape.latest([one.key]).get(one.key), now)
        points = self._tape.scored(one.key)
        with self._files.outbox() as outbox:
            alerts = alerts_of(outbox, self._told_of(view, one))
        last = points[-1] if points else None
        members = next((point.members for point in reversed(points) if point.members), ())
        return EntityView(
            row=row,
            first_at=points[0].at if points else None,
            signals=entity.weighed(last, self._profile.kit.signals) if last else (),
            groups=tuple(Hand(*hand) for hand in view.hands(id_)) if one.kind == "client" else (),
            members=tuple(Hand("client", member) for member in members),
            alerts=alerts,
            attack=last.attack if last else "unknown",
            of_class=last.of_class if last else "",
            equals=(last.exposed.equals or None) if last and last.exposed else None,
            allowed=self._allowed(view, one, last),
        )

    def _told_of(self, view: View, one: Someone) -> list[Told]:
        return [view.told[case] for case in view.mine.get((one.kind, one.id), ()) if case in view.told]

    def _allowed(self, view: View, one: Someone, last: Point | None) -> Allowed | None:
        policy, at = view.journal[-1].policy, last.at if last else one.last_at
        return next(
            (
                Allowed(s.kind, s.id, s.until, s.reason)
                for s in policy.suppressions
                if (s.kind, s.id) == (one.kind, one.id) and at < s.until
            ),
            None,
        )

    def timeline(self, level: str, id_: str) -> Timeline:
        view = self._views.now()
        one = self._someone(view, level, id_)
        points = self._tape.scored(one.key)
        with self._files.outbox() as outbox:
            alerts = alerts_of(outbox, self._told_of(view, one))
        return entity.timeline(points, alerts, view.journal[-1].policy, self._profile.kit.names)

    def mattered(self, level: str, id_: str) -> tuple[Mattered, ...]:
        one = self._someone(self._views.now(), level, id_)
        return entity.mattered(self._tape.scored(one.key), self._profile.kit.signals)

    def map(self, level: str, id_: str) -> Map:
        one = self._someone(self._views.now(), level, id_)
        if one.kind != "client":
            return NO_MAP
        with self._files.state() as reader:
            found = reader.db.read("SELECT row FROM rows WHERE key = ?", one.key)
        return map_of(self._profile, found[0][0]) if found else NO_MAP

    # -- cases

    def cases(self, state: str, search: str, cursor: str | None, limit: int) -> Page[CaseRow]:
        return self._queue.page(self._views.now(), state, search, cursor, limit)

    def case(self, case_id: str) -> CaseView:
        view = self._views.now()
        if case_id not in view.told or not view.told[case_id].accused:
            raise Unknown(f"no case {case_id} is kept")
        return self._queue.case(view, case_id)

    def say(self, say: Say, by: str) -> Said:
        kept: list[str] = []
        refused: dict[str, str] = {}
        now = time.time()
        if say.expires_at is not None and say.expires_at <= now:
            raise SettingsError("expires_at: lies in the past")
        with cases(self._folder, self._profile) as found:
            for case_id in dict.fromkeys(say.cases):
                try:
                    found.say(case_id, say.answer, by=by, note=say.note, said_at=now, expires_at=say.expires_at)
                except StoreError as error:
                    refused[case_id] = str(error)
                else:
                    kept.append(case_id)
        self._views.stale()
        return Said(tuple(kept), refused)

    # -- the detector

    def health(self) -> HealthWord:
        view = self._views.now()
        telemetry = self._settings.telemetry
        found = health.asked(telemetry.host, telemetry.port)
        if found is not None:
            self._seen_at = time.time()
        with self._files.state() as reader, self._files.outbox() as outbox:
            return health.health(
                found,
                reader,
                outbox,
                view.moved,
                entities=_judged(view),
                points=len(view.columns),
                store_bytes=self._files.size,
                watermark_at=view.columns.until,
                seen_at=self._seen_at,
            )

    def request(self, change: Change) -> int:
        view = self._views.now()
        return request_policy(self._folder / "state.sqlite", self._changed(view, change))

    def outcome(self, request: int) -> tuple[str, str]:
        with self._files.state() as reader:
            return reader.request_state(request)

    def seen(self) -> dict[str, str]:
        with self._files.state() as reader, self._files.outbox() as outbox:
            alerts, policy, tape, verdicts = marks_of(reader, outbox)
            sinks = outbox.db.read("SELECT sum(seq), max(last_ack) FROM sink_positions")[0]
            letters = reader.db.read("SELECT max(seq) FROM dead_letters")[0]
        return {
            "alerts": f"{alerts}/{verdicts}",
            "policy": policy,
            "tape": tape,
            "health": f"{tape}/{sinks}/{letters}",
        }

    def close(self) -> None:
        self._views.close()
        self._tape.close()


def make_books(settings: Settings, tape: Callable[[Profile], Tape] | None = None) -> Books:
    """tape: where the points are read; None: from the store. Raises SettingsError without a profile, StoreError without
    a store of it.
    """
    if settings.profile.path is None:
        raise SettingsError("profile.path: none is set, so that there is nothing to show")
    profile = artefact.load(Path(settings.profile.path))
    return StoreBooks(settings, profile, tape(profile) if tape else None)


def _judged(view: View) -> int:
    """How many clients and groups have a row; an account is a client again, and a ring is made of clients."""
    return sum(count for kind, count in view.people.counts().items() if kind not in (ACCOUNT, "ring"))


_POINT = msgspec.msgpack.Decoder(Point)
