"""The range as a whole: honest clients and campaigns against one victim, all detectors on the same queries, clones."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detector.errors import SettingsError
from detector.logs import DECODERS
from detector.profile import fit
from detector.profile.artefact import Profile
from detector.progress import Progress
from detector.redteam import outcome
from detector.redteam.campaign import read_campaign
from detector.redteam.campaigns import campaigns, plain_of, title
from detector.redteam.cloning import Grade, graded
from detector.redteam.detectors import OURS, Asked, Detector, conformal
from detector.redteam.grounds import Grounds
from detector.redteam.judged import Named, judged
from detector.redteam.made import Gathered
from detector.redteam.outcome import Adapted, Against, Attacked, Copy, Honest, Judge, Report
from detector.redteam.traffic import Traffic
from detector.redteam.world import simulate
from detector.run.replay import read_logs
from detector.settings import PolicySettings
from features import NUMBERS

BATCH = 5_000_000  # numbers of inputs that are simulated and judged at a time
CLONED = 5  # campaigns of each kind whose clones are made, at most
FOREIGN = "extraction"  # what an alarm of another detector says
_FIT, _FRESH = 1000, 2000  # added to the seed: honest clients to learn from, and all that is judged

Alarms = Mapping[str, Named]


@dataclass(frozen=True)
class Plan:
    """What to run. `honest` fresh clients are judged; `learned` others teach and calibrate what has no
    profile; `rings`: that one then looks for accounts that are one hand, too.
    """

    attacks: str
    clients: int
    budget: int
    seed: int
    honest: int
    learned: int
    promise: float
    span_days: float
    rings: bool = False


def run(
    plan: Plan, ground: Grounds, profile: Profile | None, detectors: Sequence[tuple[str, Detector | None]],
    work: Path, progress: Progress, policy: PolicySettings | None = None, gathered: Gathered | None = None,
) -> tuple[Report, Profile | None]:  # fmt: skip
    """The report, and the profile that judged. A detector of None is querywarden; without a profile it is fitted here.

    `work`: a folder for the log that it is fitted on. `policy`: the operator's; default: the profile's.
    `gathered`: is given the cases that querywarden saw. Raises
    SettingsError for campaigns that cannot be read, PromiseRefused where `learned` clients cannot carry the promise.
    """
    began = time.monotonic()
    if profile is not None:
        _check(profile, ground)
    wanted, skipped = campaigns(plan.attacks, picture=ground.world.pool.picture)
    calibrated: dict[str, int | None] = {}
    ours = any(detector is None for _, detector in detectors)
    fitted = profile
    model = profile.summary.model if profile else None
    if (ours and profile is None) or any(detector is not None for _, detector in detectors):
        progress.stage(f"simulating {plan.learned:,} honest clients to learn from")
        learned = simulate(
            ground.world, seed=_FIT + plan.seed, honest=plan.learned, span_days=plan.span_days, budget=plan.budget
        )
        if ours and fitted is None:
            fitted = _fitted(ground.as_logged(learned, model), ground, plan, work, progress)
        honest = list(_asked(learned).values())
        for name, detector in detectors:
            if detector is not None:
                progress.stage(f"calibrating {name} on the same clients")
                calibrated[name] = detector.fit(honest, plan.promise)
    bench = _Bench(plan, ground, fitted, policy, detectors, progress, gathered)
    found = [bench.attacked(text) for text in bench.batched(wanted)]
    found.sort(key=lambda one: wanted.index(one.campaign))
    return Report(
        format=outcome.FORMAT,
        versions=outcome.versions(),
        seed=plan.seed,
        attacks=plan.attacks,
        budget=plan.budget,
        victim=_victim(ground),
        profile=profile.summary.id if profile else None,
        detectors=tuple(bench.judge(name, calibrated.get(name)) for name, _ in detectors),
        campaigns=tuple(found),
        adapted=tuple(_costs(found)),
        skipped=tuple(skipped),
        seconds=round(time.monotonic() - began, 1),
    ), fitted


class _Bench:
    """Traffic and alarms of one batch after the other; `honest` holds the alarms on honest clients, by detector."""

    def __init__(
        self, plan: Plan, ground: Grounds, profile: Profile | None, policy: PolicySettings | None,
        detectors: Sequence[tuple[str, Detector | None]], progress: Progress, gathered: Gathered | None = None,
    ) -> None:  # fmt: skip
        if profile is not None:
            promised = profile.summary.policy
            self._policy = policy.over(promised.thresholds) if policy else promised
        self._plan, self._ground, self._profile, self._progress = plan, ground, profile, progress
        self._detectors, self._gathered = detectors, gathered
        self._traffic: Traffic
        self._alarms: dict[str, Alarms] = {}
        self.honest: dict[str, dict[str, Named]] = {name: {} for name, _ in detectors}

    def batched(self, texts: Sequence[str]) -> Iterator[str]:
        """The campaigns, each once its batch was simulated and judged. Honest clients are in the first one; in all of
        them where rings are looked for, which may be found among them.
        """
        width = self._ground.world.pool.pixels.shape[1]
        size = max(BATCH // (width * self._plan.budget * self._plan.clients), 1)
        rings = self._profile is not None and self._profile.summary.rings is not None
        for start in range(0, max(len(texts), 1), size):
            batch = texts[start : start + size]
            with_honest = start == 0 or rings
            self._progress.stage(
                f"attacking: {start + len(batch)} of {len(texts)} campaigns, {', '.join(batch[:3])} ..."
            )
            self._traffic = simulate(
                self._ground.world,
                seed=_FRESH + self._plan.seed,
                honest=self._plan.honest if with_honest else 0,
                attackers=dict.fromkeys(batch, self._plan.clients),
                span_days=self._plan.span_days,
                budget=self._plan.budget,
            )
            self._judge()
            yield from batch

    def attacked(self, text: str) -> Attacked:
        """What one campaign of the batch came to."""
        runs = self._runs(text)
        rows = self._traffic.rows()
        whole = [np.sort(np.concatenate([rows[client] for client in run])) for run in runs]
        ends = [self._grade(mine) for mine in whole[:CLONED]]
        against = [self._against(name, runs, rows, whole, ends) for name, _ in self._detectors]
        return Attacked(
            campaign=text,
            title=title(text),
            campaigns=len(runs),
            accounts=read_campaign(text).accounts,
            budget=self._plan.budget,
            end=_copy(ends),
            against=tuple(against),
        )

    def judge(self, name: str, calibrated: int | None) -> Judge:
        """A detector, and how many honest clients it named."""
        promise: float | None = self._plan.promise
        m, k = calibrated, None if calibrated is None else conformal.rank(calibrated, self._plan.promise)
        if name == OURS and self._profile is not None:
            level = self._profile.level("client")
            promise, m, k = self._profile.summary.promise, level.calibrated, level.rank
        expected = None if m is None or k is None else conformal.expected(self._plan.honest, m, k)
        named = outcome.share(len(self.honest[name]), self._plan.honest)
        kinds = outcome.counted(one.kind for one in self.honest[name].values())
        return Judge(name, promise, Honest(named, m, k, expected, kinds))

    def _judge(self) -> None:
        asked = _asked(self._traffic)
        for name, detector in self._detectors:
            self._progress.stage(f"judging {len(self._traffic):,} queries by {name}")
            if detector is None:
                assert self._profile is not None
                logged = self._ground.as_logged(self._traffic, self._profile.summary.model)
                each = self._gathered.keep if self._gathered else lambda step: None
                found = judged(self._profile, self._policy, logged, self._progress.add, each)
                if self._gathered:
                    self._gathered.close(self._traffic.truth)
            else:
                found = {}
                for client, one in asked.items():
                    at = detector.first_alarm(one)
                    if at is not None:
                        found[client] = Named(at, FOREIGN)
                    self._progress.add(len(one.labels))
            self._alarms[name] = found
            truth = self._traffic.truth
            self.honest[name] |= {client: named for client, named in found.items() if truth[client] == "honest"}

    def _runs(self, text: str) -> list[list[str]]:
        """The accounts of each campaign of that kind."""
        runs: dict[str, list[str]] = {}
        for account in self._traffic.accounts:
            if account.truth == text:
                runs.setdefault(account.ring or account.client, []).append(account.client)
        return list(runs.values())

    def _against(
        self, name: str, runs: Sequence[Sequence[str]], rows: Mapping[str, np.ndarray], whole: Sequence[np.ndarray],
        ends: Sequence[Grade],
    ) -> Against:  # fmt: skip
        alarms = self._alarms[name]
        each = [alarms[client] for run in runs for client in run if client in alarms]
        until = []
        for run, mine, end in zip(runs, whole, ends, strict=False):
            left = [rows[client][: alarms[client].queries] if client in alarms else rows[client] for client in run]
            kept = np.sort(np.concatenate(left))
            until.append(end if len(kept) == len(mine) else self._grade(kept))
        return Against(
            detector=name,
            named=outcome.share(len(each), sum(map(len, runs))),
            queries=outcome.spread([named.queries for named in each]),
            each=tuple(sorted(named.queries for named in each)),
            kinds=outcome.counted(named.kind for named in each),
            copy=_copy(until),
            saved=float(np.median([e.fidelity - u.fidelity for e, u in zip(ends, until, strict=True)])),
        )

    def _grade(self, rows: np.ndarray) -> Grade:
        self._progress.add(1)
        return graded(self._traffic.inputs[rows], self._traffic.labels[rows], self._ground.exam)


def _check(profile: Profile, ground: Grounds) -> None:
    """What it could not read would be dead letters, and would look like attacks that nobody finds."""
    width = ground.world.pool.pixels.shape[1]
    if profile.kit is not NUMBERS:
        raise SettingsError(f"the profile reads {profile.kit.name}, and this victim numbers (text: --texts)")
    if profile.summary.width != width:
        raise SettingsError(f"the profile reads inputs of {profile.summary.width} numbers, and this victim {width}")


def _fitted(log: Traffic, ground: Grounds, plan: Plan, work: Path, progress: Progress) -> Profile:
    progress.stage("fitting a profile to them")
    path = work / "honest.jsonl"
    log.write(path)
    options = fit.Options(promise=plan.promise, horizon_us=None, seed=plan.seed, rings=plan.rings)
    return fit.fit(
        lambda: read_logs([str(path)], progress.add), DECODERS["native"], ground.training, options, progress.stage
    )


def _asked(traffic: Traffic) -> dict[str, Asked]:
    """Each client's queries, in [0, 1]."""
    labels = traffic.labels.astype(np.int64)
    return {
        client: Asked(
            traffic.inputs[rows].astype(np.float64),
            labels[rows],
            None if traffic.labels_only else traffic.probabilities[rows],
            traffic.at[rows],
        )
        for client, rows in traffic.rows().items()
    }


def _victim(ground: Grounds) -> outcome.Victim:
    exam = ground.exam
    accuracy = None if exam.truth is None else float((exam.answers == exam.truth).mean())
    classes = ground.world.victim.ask(exam.inputs[:1]).shape[1]
    return outcome.Victim(ground.world.victim.name, exam.inputs.shape[1], classes, accuracy)


def _copy(grades: Sequence[Grade]) -> Copy:
    accuracies = [grade.accuracy for grade in grades if grade.accuracy is not None]
    return Copy(
        outcome.spread([grade.fidelity for grade in grades]), outcome.spread(accuracies) if accuracies else None
    )


def _costs(found: Sequence[Attacked]) -> Iterator[Adapted]:
    """Each adapted campaign beside the plain one, at the same budget."""
    ends = {one.campaign: one.end.fidelity.median for one in found}
    for one in found:
        plain = plain_of(one.campaign)
        mine, theirs = ends[one.campaign], ends.get(plain)
        if read_campaign(one.campaign).adapted and mine is not None and theirs is not None:
            yield Adapted(one.campaign, plain, mine, theirs, theirs - mine)
