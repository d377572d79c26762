"""A policy that a mirror's store is asked for is proposed to all workers once; who asks is told what became of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from detector.cluster.policies import Decision, Policies, begun, decided, proposed
from detector.mirror.asking import Asking
from detector.mirror.keeping import Kept
from detector.policy import Policy, Threshold
from detector.profile.artefact import Profile
from detector.run.store import request_policy

SINCE = 1_700_000_000_000_000


class Workers:
    """The topic of policies, and what was proposed in it."""

    def __init__(self, policy: Policy) -> None:
        self.policies, self.put_in = Policies(), list[tuple[str, Policy, int | None]]()
        self.policies.take(*begun(policy))

    def put(self, id_: str, policy: Policy, since: int | None) -> int:
        self.put_in.append((id_, policy, since))
        return SINCE if since is None else since

    def arrive(self, number: int = -1) -> str:
        """What was put is read."""
        id_, policy, since = self.put_in[number]
        self.policies.take(*proposed(id_, since or SINCE, policy))
        return id_


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "mirror"


@pytest.fixture
def kept(profile: Profile, folder: Path) -> Iterator[Kept]:
    with closing(opened(profile, folder)) as kept:
        yield kept


def opened(profile: Profile, folder: Path) -> Kept:
    return Kept(folder, cluster="c", profile=profile, ids="")


@pytest.fixture
def workers(profile: Profile) -> Workers:
    return Workers(profile.summary.policy)


def changed(profile: Profile, version: str = "other") -> Policy:
    return msgspec.structs.replace(profile.summary.policy, version=version)


def asking(kept: Kept, workers: Workers, profile: Profile) -> Asking:
    return Asking(kept, profile.summary.policy.thresholds, workers.put)


def test_it_is_proposed_once_and_taken_when_it_holds(
    kept: Kept, workers: Workers, profile: Profile, folder: Path
) -> None:
    number = request_policy(folder / "state.sqlite", changed(profile))
    mirror = asking(kept, workers, profile)
    for _ in range(3):
        mirror.look(workers.policies)
    assert len(workers.put_in) == 1
    id_ = workers.arrive()
    mirror.look(workers.policies)
    assert kept.store.request_state(number) == ("waiting", "")
    workers.policies.take(*decided(id_, Decision(SINCE)))
    kept.journal(workers.policies.dated())
    mirror.look(workers.policies)
    assert kept.store.request_state(number) == ("taken", "")
    assert [(one.since, one.policy.version) for one in kept.store.policies()][1:] == [(SINCE, "other")]


def test_what_workers_refuse_is_refused_with_their_reason(
    kept: Kept, workers: Workers, profile: Profile, folder: Path
) -> None:
    number = request_policy(folder / "state.sqlite", changed(profile))
    mirror = asking(kept, workers, profile)
    mirror.look(workers.policies)
    workers.policies.take(*decided(workers.arrive(), Decision(None, "judge-1 has come to noon")))
    mirror.look(workers.policies)
    assert kept.store.request_state(number) == ("refused", "judge-1 has come to noon: ask again")


def test_a_mirror_that_died_before_its_proposal_was_seen_proposes_under_the_same_id(
    kept: Kept, workers: Workers, profile: Profile, folder: Path
) -> None:
    """Of which workers count the first."""
    request_policy(folder / "state.sqlite", changed(profile), SINCE + 1)
    asking(kept, workers, profile).look(workers.policies)
    kept.close()
    with closing(opened(profile, folder)) as again:
        asking(again, workers, profile).look(workers.policies)
    (first, second) = workers.put_in
    assert first == second
    assert first[2] == SINCE + 1


def test_a_level_that_the_profile_does_not_judge_is_proposed_to_nobody(
    kept: Kept, workers: Workers, profile: Profile, folder: Path
) -> None:
    wrong = msgspec.structs.replace(changed(profile), thresholds={"planet": (Threshold("low", 1.0),)})
    number = request_policy(folder / "state.sqlite", wrong)
    asking(kept, workers, profile).look(workers.policies)
    assert not workers.put_in
    assert kept.store.request_state(number) == ("refused", "the profile judges no level planet")


def test_two_stores_ask_under_ids_of_their_own(workers: Workers, profile: Profile, tmp_path: Path) -> None:
    for name in ("one", "two"):
        with closing(opened(profile, tmp_path / name)) as kept:
            request_policy(tmp_path / name / "state.sqlite", changed(profile))
            asking(kept, workers, profile).look(workers.policies)
    assert len({id_ for id_, _, _ in workers.put_in}) == 2
