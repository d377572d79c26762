"""The range for a language model: sweeps made of the user's texts, beside honest clients of a log of his.

No model is asked and none is copied: an answer is the one that belongs to what a prompt was made of. So the report says
who was named and when, and nothing of clones.
"""

from __future__ import annotations

import importlib.util
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from detector.errors import SettingsError
from detector.logs import DECODERS
from detector.policy import Policy, Storm
from detector.profile.artefact import Profile
from detector.progress import Progress
from detector.query import I64
from detector.redteam import outcome
from detector.redteam.campaigns import Skipped
from detector.redteam.detectors import OURS, Detector, conformal
from detector.redteam.detectors import Asked as Client
from detector.redteam.exchanges import Exchange, Said, read_texts, spoken
from detector.redteam.judged import Named, first_named
from detector.redteam.outcome import Against, Attacked, Copy, Honest, Judge, Report
from detector.redteam.sweeps import embedded
from detector.redteam.text_campaigns import read_text_campaign, swept, text_campaigns
from detector.redteam.traffic import Account
from detector.redteam.trial import FOREIGN, Plan
from detector.run.replay import read_logs, replay
from detector.settings import PolicySettings
from detector.text.reading import WORDS

NOTHING = Copy(outcome.spread([]), None)
LEARNED_SHARE = 0.5  # of the honest clients teach the other detectors, where nobody else does; all are judged by us


def of_text(
    texts: Path, logs: Sequence[str], teaching: Sequence[str], plan: Plan, profile: Profile,
    policy: PolicySettings | None, detectors: Sequence[tuple[str, Detector | None]], progress: Progress,
) -> Report:  # fmt: skip
    """The same from files: texts as `read_texts` reads them, logs of honest clients that are judged, and logs of those
    who teach the other detectors.
    """
    pool = read_texts(texts)
    progress.stage("reading honest clients")
    honest = spoken(read_logs(logs, progress.add), DECODERS["native"])
    teachers = spoken(read_logs(teaching, progress.add), DECODERS["native"]) if teaching else {}
    promised = profile.summary.policy
    in_force = policy.over(promised.thresholds) if policy else promised
    return run_text(plan, pool, honest, teachers, profile, in_force, detectors, progress)


def run_text(
    plan: Plan, texts: Sequence[Exchange], honest: Mapping[str, Sequence[Said]],
    teachers: Mapping[str, Sequence[Said]], profile: Profile, policy: Policy,
    detectors: Sequence[tuple[str, Detector | None]], progress: Progress,
) -> Report:  # fmt: skip
    """`honest`: clients of a log that the profile has not seen. `teachers`: those of whom the other detectors learn;
    where there are none, half of the honest ones, whom they do not judge then. Raises SettingsError for what cannot
    be run so.
    """
    began = time.monotonic()
    if profile.summary.embedder != WORDS:
        raise SettingsError("sweeps are judged by a profile that embeds text itself, and this one does not")
    if not honest:
        raise SettingsError("--honest-log holds no client that asked text: sweeps are judged beside honest clients")
    rows = np.random.default_rng(plan.seed).permutation(len(honest))
    half = [list(honest)[i] for i in rows[: int(LEARNED_SHARE * len(honest))]]
    learned = list(teachers.values()) or [honest[client] for client in half]
    calibrated: dict[str, int | None] = {}
    for name, detector in detectors:
        if detector is not None:
            progress.stage(f"calibrating {name} on {len(learned)} honest clients")
            calibrated[name] = detector.fit([_client(said) for said in learned], plan.promise)
    others = list(honest) if teachers else sorted(set(honest) - set(half))
    fresh = {name: list(honest) if detector is None else others for name, detector in detectors}
    wanted, skipped = _possible(text_campaigns(plan.attacks))
    asked: dict[Account, Sequence[Said]] = {Account(client, "", "honest"): said for client, said in honest.items()}
    for text in wanted:
        progress.stage(f"making sweeps: {text}")
        for number in range(plan.clients):
            asked |= swept(text, number, texts, honest, seed=plan.seed, budget=plan.budget)
    alarms = {
        name: _ours(profile, policy, asked, progress) if detector is None else _theirs(name, detector, asked, progress)
        for name, detector in detectors
    }
    campaigns = tuple(_attacked(text, plan, asked, alarms) for text in wanted)
    judges = tuple(
        _judge(name, plan, profile, fresh[name], alarms[name], calibrated.get(name)) for name, _ in detectors
    )
    return Report(
        format=outcome.FORMAT, versions=outcome.versions(), seed=plan.seed, attacks=plan.attacks, budget=plan.budget,
        victim=outcome.Victim(profile.summary.model, 0, 0, None), profile=profile.summary.id, detectors=judges,
        campaigns=campaigns, adapted=(), skipped=tuple(skipped), seconds=round(time.monotonic() - began, 1),
    )  # fmt: skip


def _possible(wanted: Sequence[str]) -> tuple[list[str], list[Skipped]]:
    embeds = importlib.util.find_spec("wordllama") is not None
    skipped = [Skipped(t, "it needs the extra [text]") for t in wanted if read_text_campaign(t).embeds and not embeds]
    return [text for text in wanted if text not in {one.campaign for one in skipped}], skipped


def _ours(
    profile: Profile, policy: Policy, asked: Mapping[Account, Sequence[Said]], progress: Progress
) -> dict[str, Named]:
    progress.stage("judging by querywarden")
    policy = msgspec.structs.replace(policy, storm=Storm(at_least=0))
    with tempfile.TemporaryDirectory(prefix="querywarden-range-") as folder:
        path = Path(folder) / "log.jsonl"
        with path.open("wb") as file:
            file.writelines(_lines(asked, profile.summary.model))
        done = replay(profile, policy, read_logs([str(path)], progress.add), DECODERS["native"])
    times = {account.client: np.array([said.at for said in of], np.int64) for account, of in asked.items()}
    return first_named(done.alerts, times, done.pipeline.rings())


def _theirs(
    name: str, detector: Detector, asked: Mapping[Account, Sequence[Said]], progress: Progress
) -> dict[str, Named]:
    progress.stage(f"judging by {name}")
    found = {}
    for account, said in asked.items():
        at = detector.first_alarm(_client(said))
        if at is not None:
            found[account.client] = Named(at, FOREIGN)
        progress.add(len(said))
    return found


def _client(said: Sequence[Said]) -> Client:
    """Prompts as directions of their embedding; no labels."""
    labels: I64 = np.zeros(len(said), np.int64)
    return Client(
        embedded([one.exchange.asked for one in said]), labels, None, np.array([s.at for s in said], np.int64)
    )


def _lines(asked: Mapping[Account, Sequence[Said]], model: str) -> Iterator[bytes]:
    records = [(said.at, account.client, i, said) for account, of in asked.items() for i, said in enumerate(of)]
    for at, client, i, said in sorted(records, key=lambda record: record[:3]):
        one = said.exchange
        record = {"at": at / 1e6, "client": client, "id": f"{client}/{i}", "model": model, "input": one.asked}
        yield msgspec.json.encode(record | {"output": {"text": one.answer}}) + b"\n"


def _attacked(
    text: str, plan: Plan, asked: Mapping[Account, Sequence[Said]], alarms: Mapping[str, Mapping[str, Named]]
) -> Attacked:
    clients = [account.client for account in asked if account.truth == text]
    return Attacked(
        campaign=text,
        title=read_text_campaign(text).title,
        campaigns=plan.clients,
        accounts=read_text_campaign(text).accounts,
        budget=plan.budget,
        end=NOTHING,
        against=tuple(_against(name, clients, found) for name, found in alarms.items()),
    )


def _against(name: str, clients: Sequence[str], alarms: Mapping[str, Named]) -> Against:
    each = [alarms[client] for client in clients if client in alarms]
    return Against(
        detector=name,
        named=outcome.share(len(each), len(clients)),
        queries=outcome.spread([one.queries for one in each]),
        each=tuple(sorted(one.queries for one in each)),
        kinds=outcome.counted(one.kind for one in each),
        copy=NOTHING,
        saved=0.0,
    )


def _judge(
    name: str, plan: Plan, profile: Profile, fresh: Sequence[str], alarms: Mapping[str, Named], calibrated: int | None
) -> Judge:
    level = profile.level("client")
    ours = name == OURS
    m = level.calibrated if ours else calibrated
    k = level.rank if ours else None if m is None else conformal.rank(m, plan.promise)
    expected = None if m is None or k is None else conformal.expected(len(fresh), m, k)
    named = [alarms[client] for client in fresh if client in alarms]
    honest = Honest(outcome.share(len(named), len(fresh)), m, k, expected, outcome.counted(one.kind for one in named))
    return Judge(name, plan.promise, honest)
