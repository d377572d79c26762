"""The books of a store: what they say is what the detector that left it decided, told and kept."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from detector.alert import Alert
from detector.dashboard.books import Unknown
from detector.dashboard.reading.books import StoreBooks, make_books
from detector.dashboard.reading.casing import at_us
from detector.dashboard.shapes import (
    Allowed,
    Ask,
    AskPromise,
    Change,
    EntityRow,
    Overview,
    Preview,
    Say,
    Sort,
    ThresholdAt,
)
from detector.dashboard.whatif.drafting import changed
from detector.errors import SettingsError, StoreError
from detector.learned.triage import LEAST, Answer, evidence_of
from detector.logs.native import decode_many
from detector.policy import Policy
from detector.profile.artefact import Profile
from detector.run.forgetting import ask
from detector.run.local import LocalRunner
from detector.run.outbox import Outbox
from detector.run.replay import replay
from detector.run.store import Reader
from detector.run.verdicts import NOBODY, RANGE, Verdict
from tests import people
from tests.dashboard.books.conftest import Keep, Make, settings_in
from tests.run.hour import hour

LOOSE = Change(thresholds={"client": (ThresholdAt("low", 0.8), ThresholdAt("critical", 2.5))})
SORTS: tuple[Sort, ...] = ("score", "exposure", "queries", "last")


def kept(folder: Path) -> list[Alert]:
    with closing(Outbox(folder / "store" / "outbox.sqlite")) as outbox:
        return [one for one in outbox.kept() if one.kind not in ("population", "health")]


def raised(alerts: Iterable[Alert]) -> dict[str, int]:
    return dict(Counter(one.severity for one in alerts if one.action in ("open", "escalate")))


def of_days(preview: Preview, side: str) -> dict[str, int]:
    return dict(sum((Counter(getattr(day, side)) for day in preview.days), Counter()))


# -- what another policy would have done


def test_a_preview_counts_what_was_told_and_what_a_replay_would_tell(
    books: StoreBooks, left: Path, profile: Profile
) -> None:
    preview = books.preview(Ask(LOOSE))
    told = kept(left)
    again = replay(
        profile,
        changed(in_force(books), LOOSE, profile.summary.policy.thresholds),
        people.chunks(hour().lines),
        decode_many,
    )
    assert preview.was == raised(told) == of_days(preview, "was")
    assert preview.would == raised(again.alerts) == of_days(preview, "would")
    alerted = [{(one.entity.kind, one.entity.id) for one in alerts} for alerts in (told, again.alerts)]
    assert {(flip.level, flip.id) for flip in preview.flips_in} == alerted[1] - alerted[0]
    assert {(flip.level, flip.id) for flip in preview.flips_out} == alerted[0] - alerted[1]
    assert preview.flips_in_total == len(preview.flips_in) > 0
    assert preview.points == books.overview().points


def test_a_preview_tells_what_was_told_from_what_a_storm_held(
    left: Path, tmp_path: Path, saved: Path, profile: Profile, keep: Keep
) -> None:
    storm = {"storm": {"at_least": 2, "window_s": 3_600.0}}
    shutil.copy(left / "log.jsonl", tmp_path / "log.jsonl")
    LocalRunner(settings_in(tmp_path, saved, policy=storm)).run()
    settings = settings_in(tmp_path, saved, policy=storm)
    preview = StoreBooks(settings, profile, keep(tmp_path / "store", profile), check_s=0.0).preview(Ask(Change()))
    with closing(Outbox(tmp_path / "store" / "outbox.sqlite")) as outbox:
        held, told = outbox.held(), [*outbox.kept()]
    assert preview.held_was == preview.held_would == sum(raised(held).values()) > 0
    assert preview.was == raised(one for one in told if one.kind not in ("population", "health"))
    storms = sum(one.kind == "population" and one.action == "open" for one in told)
    assert preview.storms_was == preview.storms_would == storms > 0
    assert sum(day.held_would for day in preview.days) == preview.held_would


def in_force(books: StoreBooks) -> Policy:
    with books._files.state() as reader:
        return reader.policies()[-1].policy


def test_what_signals_mean_is_said_in_whole_sentences(books: StoreBooks) -> None:
    words = books.overview().signals
    assert words
    assert not any("{" in sentence for one in words for sentence in (one.low, one.high))


def test_nothing_changed_flips_nobody(books: StoreBooks) -> None:
    preview = books.preview(Ask(Change()))
    assert preview.was == preview.would
    assert (preview.flips_in, preview.flips_out) == ((), ())


def test_a_suppression_takes_out_whom_it_names(books: StoreBooks) -> None:
    allowed = Allowed("client", "n1", people.END_US, "ours")
    out = books.preview(Ask(Change(suppressions=(allowed,)))).flips_out
    assert [(flip.level, flip.id) for flip in out] == [("client", "n1")]


def test_a_preview_of_a_part_sees_the_part(books: StoreBooks) -> None:
    whole = books.preview(Ask(LOOSE))
    assert whole.since is not None
    assert whole.until is not None
    middle = (whole.since + whole.until) // 2
    parts = [books.preview(Ask(LOOSE, until=middle)), books.preview(Ask(LOOSE, since=middle))]
    assert Counter(parts[0].would) + Counter(parts[1].would) == Counter(whole.would)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (Change(thresholds={"clients": ()}), "unknown level"),
        (Change(thresholds={"client": (ThresholdAt("high", 1.0), ThresholdAt("low", 2.0))}), "must rise"),
        (Change(thresholds={"client": (ThresholdAt("high", 1.0), ThresholdAt("high", 2.0))}), "two thresholds"),
    ],
)
def test_a_change_that_is_no_policy_is_refused(books: StoreBooks, change: Change, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        books.preview(Ask(change))


def test_the_histogram_holds_every_entity_once(books: StoreBooks) -> None:
    for level in ("client", "organisation"):
        found = books.histogram(level)
        assert sum(found.counts) + found.below == found.total
        assert len(found.edges) == len(found.counts) + 1
        assert list(found.edges) == sorted(set(found.edges))
    with pytest.raises(Unknown):
        books.histogram("nobody")


# -- what a threshold promises


def test_a_share_and_its_threshold_promise_each_other(books: StoreBooks, profile: Profile) -> None:
    level = profile.level("client")
    assert level.share is not None
    found = books.promise(AskPromise("client", share=level.share))
    assert (found.score, found.supported, found.words) == (level.threshold, True, ())
    assert (found.low, found.high) == (level.low, level.high)
    back = books.promise(AskPromise("client", score=found.score))
    assert back.share == found.share
    assert back.share is not None
    assert back.share <= level.share


def test_a_threshold_says_what_it_does_not_promise(books: StoreBooks) -> None:
    dragged = books.promise(AskPromise("client", score=1.0))
    assert dragged.supported
    assert "looking at the data" in dragged.words[0]
    beyond = books.promise(AskPromise("client", score=50.0))
    assert not beyond.supported
    assert "no threshold promises less than" in beyond.words[0]
    rare = books.promise(AskPromise("client", share=1e-6))
    assert not rare.supported
    assert "that takes" in rare.words[0]
    with pytest.raises(SettingsError, match="either"):
        books.promise(AskPromise("client"))


# -- who asks


@pytest.mark.parametrize("sort", SORTS)
def test_pages_hold_everybody_once_and_in_order(books: StoreBooks, sort: Sort) -> None:
    rows: list[EntityRow] = []
    cursor = None
    while True:
        page = books.entities("client", "", sort, cursor, 4)
        rows += page.items
        if page.next is None:
            break
        cursor = page.next
    assert len(rows) == page.total == len({row.id for row in rows})
    values = {"score": "score", "exposure": "clone", "queries": "queries", "last": "last_at"}
    numbers = [-1.0 if getattr(row, values[sort]) is None else getattr(row, values[sort]) for row in rows]
    assert numbers == sorted(numbers, reverse=True)


def test_who_is_searched_for_is_found(books: StoreBooks) -> None:
    assert {row.id for row in books.entities(None, "N1", "score", None, 10).items} == {"n1"}
    assert books.entities(None, "no such", "score", None, 10).total == 0
    with pytest.raises(SettingsError, match="cursor"):
        books.entities(None, "", "score", "bm8", 10)
    with pytest.raises(Unknown):
        books.entity("client", "no such")


def test_a_client_is_told_of_as_its_alert_told(books: StoreBooks, left: Path) -> None:
    (row,) = books.entities("client", "n1", "score", None, 10).items
    view = books.entity("client", "n1")
    assert view.row == row
    assert [one.id for one in view.alerts] == [one.id for one in kept(left) if one.entity.id == "n1"]
    assert row.case_id == view.alerts[0].case_id
    assert row.strongest == view.signals[0].signal
    assert view.signals[0].text
    assert [one.score for one in view.signals] == sorted((one.score for one in view.signals), reverse=True)
    assert ("organisation", "o1") in {(hand.level, hand.id) for hand in view.groups}


def test_a_line_has_its_alerts_on_it_and_rises_where_a_query_mattered(books: StoreBooks) -> None:
    line = books.timeline("client", "n1")
    assert len({len(line.at), len(line.queries), len(line.score), len(line.clone)}) == 1
    assert all(len(values) == len(line.at) for values in line.signals.values())
    assert list(line.at) == sorted(line.at)
    assert {mark.at for mark in line.alerts} <= set(line.at)
    assert not line.thinned
    mattered = books.mattered("client", "n1")
    assert [one.rise for one in mattered] == sorted((one.rise for one in mattered), reverse=True)
    assert {one.n for one in mattered} <= set(line.queries)
    assert all(one.query_id.startswith("n1/") for one in mattered)


def test_a_map_shows_what_the_row_remembers(books: StoreBooks) -> None:
    found = books.map("client", "n1")
    assert len(found.queries) == 50
    assert len(found.training) > 50
    assert 0 < found.explained <= 1
    assert books.map("organisation", "o1").queries == ()


# -- cases


def test_cases_wait_in_the_order_of_the_command(books: StoreBooks, left: Path) -> None:
    page = books.cases("open", "", None, 100)
    assert {row.case_id for row in page.items} == {one.case_id for one in kept(left)} - {
        row.case_id for row in books.cases("resolved", "", None, 100).items
    }
    first, second = books.cases("open", "", None, 1), books.cases("open", "", None, 100)
    assert first.items == second.items[:1]
    assert books.cases("open", "", first.next, 100).items == second.items[1:]
    with pytest.raises(SettingsError, match="known are"):
        books.cases("closed", "", None, 1)
    with pytest.raises(Unknown):
        books.case("no such")


def test_a_verdict_counts_until_it_expires(mine: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    books = mine()
    case = books.entity("client", "n1").row.case_id
    assert case is not None
    said = books.say(Say((case, "no such"), "attack", "noise", time.time() + 60), "ann")
    assert said.kept == (case,)
    assert "no alert that is kept" in said.refused["no such"]
    row = books.case(case).row
    assert row.said is not None
    assert (row.said.answer, row.said.by, row.said.note) == ("attack", "ann", "noise")
    assert books.entity("client", "n1").row.said == "attack"
    assert books.preview(Ask(Change())).judged.kept == 1
    assert sum(books.histogram("client").attacks) == 1
    later = time.time() + 120
    monkeypatch.setattr(time, "time", lambda: later)
    assert books.case(case).row.said is None
    assert [one.answer for one in books.case(case).verdicts] == ["attack"]
    assert books.entity("client", "n1").row.said is None
    with pytest.raises(SettingsError, match="past"):
        books.say(Say((case,), "honest", "", later - 1), "ann")


def test_verdicts_teach_what_orders_the_queue(mine: Make) -> None:
    books = mine(policy={"storm": {"at_least": 0}})
    cases = [row.case_id for row in books.cases("all", "", None, 100).items]
    assert all(row.probability is None for row in books.cases("all", "", None, 100).items)
    with books._files.state() as reader:
        for number in range(2 * LEAST):
            taught(reader, f"made-{number}", "attack" if number % 2 else "honest")
    probabilities = [row.probability for row in books.cases("all", "", None, 100).items]
    assert all(one is not None and 0 < one < 1 for one in probabilities)
    view = books.case(cases[0])
    assert view.taught_by == 2 * LEAST
    assert view.because


def taught(reader: Reader, case_id: str, answer: Answer) -> None:
    """A verdict as the range makes them: an attack on the oddest evidence of the tape, else on the most usual."""
    sign = 1 if answer == "attack" else -1
    point = max((one for one in reader.tape() if one.odds), key=lambda one: (sign * one.level, one.n))
    verdict = Verdict(
        case_id=case_id, answer=answer, by=RANGE, note="", at="2026-01-01T00:00:00Z", said_at=1.0, profile="p",
        evidence=evidence_of(point, tuple(f"s{i}" for i in range(len(point.odds)))),
    )  # fmt: skip
    with reader.db.transaction("could not keep a verdict") as db:
        db.execute(
            "INSERT INTO verdicts(case_id, key, said_at, body) VALUES (?, ?, ?, ?)",
            (case_id, NOBODY, 1.0, msgspec.msgpack.encode(verdict)),
        )


# -- the detector, and what is new


def test_a_requested_change_is_taken_by_the_detector(mine: Make, tmp_path: Path, saved: Path) -> None:
    books = mine()
    before = books.seen()
    request = books.request(LOOSE)
    assert books.outcome(request) == ("waiting", "")
    assert books.seen()["policy"] != before["policy"]
    LocalRunner(settings_in(tmp_path, saved)).run()
    assert books.outcome(request) == ("taken", "")
    newest, *older = books.policies()
    assert newest.in_force
    assert newest.thresholds["client"] == LOOSE.thresholds["client"]  # type: ignore[index]
    assert newest.since > max(at_us(one) for one in kept(tmp_path))
    assert not any(one.in_force for one in older)


def test_nobody_waits_for_what_is_read_beside(mine: Make, tmp_path: Path, saved: Path) -> None:
    books = mine(check_s=1e-9)
    before = books.overview()
    late = people.log_of(people.noise("late", seed=3, at=people.START_US + 90 * people.MINUTE_US))
    with (tmp_path / "log.jsonl").open("ab") as log:
        log.writelines(line + b"\n" for line in late)
    LocalRunner(settings_in(tmp_path, saved)).run()
    assert books.overview() == before  # and the new one is on its way
    assert books._views._pending is not None
    books._views._pending.result()
    assert books.overview().points > before.points
    assert books.entity("client", "late").row.case_id is not None
    case = books.entity("client", "n1").row.case_id
    assert case is not None
    books.say(Say((case,), "honest"), "ann")
    assert books.entity("client", "n1").row.said == "honest"  # what was said here is known at once
    books.close()


def test_who_was_forgotten_is_gone(mine: Make, tmp_path: Path, saved: Path) -> None:
    books = mine()
    points = books.overview().points
    ask(tmp_path / "store" / "state.sqlite", "client", "n1", keep_alerts=False)
    LocalRunner(settings_in(tmp_path, saved)).run()
    with pytest.raises(Unknown):
        books.entity("client", "n1")
    assert books.overview().points < points
    assert "n1" not in {row.id for row in books.cases("all", "", None, 100).items}


def test_health_of_a_detector_that_is_away_is_a_state(books: StoreBooks) -> None:
    found = books.health()
    assert (found.reachable, found.state, found.rate) == (False, "away", None)
    (letters,) = [one for one in found.letters if one.reason == "json"] or found.letters[:1]
    assert letters.count > 0
    assert "record" in letters.example
    assert found.store_bytes > 100_000
    assert found.entities == books.overview().entities


def test_many_threads_are_told_the_same(mine: Make) -> None:
    books = mine()
    with ThreadPoolExecutor(8) as pool:
        overviews: set[Overview] = {ready.result() for ready in [pool.submit(books.overview) for _ in range(24)]}
    assert len({msgspec.json.encode(one) for one in overviews}) == 1


def test_books_belong_to_a_store_and_its_profile(tmp_path: Path, saved: Path, other_saved: Path, left: Path) -> None:
    with pytest.raises(StoreError, match="there is no store"):
        make_books(settings_in(tmp_path, saved))
    with pytest.raises(StoreError, match="holds rows of profile"):
        make_books(settings_in(left, other_saved))
