"""What the command line does with workers: their topics, one of them, and the policy of them all."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from detector.errors import SettingsError, nearest_name

if TYPE_CHECKING:
    from detector.policy import Policy
    from detector.profile.artefact import Profile
    from detector.settings import Settings
    from detector.sources.kafka import KafkaSettings

Load = Callable[[Path, dict[str, str]], "Settings"]


def work(arguments: Namespace, load: Load) -> int:
    """`querywarden worker`: until it is told to stop."""
    from detector.cluster import stages

    stages.need_faust()
    from detector.cluster.worker import Worker
    from detector.run import journal_log

    settings = load(arguments.config, dict(os.environ))
    journal_log.configure(settings.telemetry.log_level, settings.telemetry.log_json)
    Worker(settings).run()
    return 0


def topics(arguments: Namespace, load: Load) -> list[str]:
    """`querywarden topics`: creates and checks them; returns what it did."""
    settings, source, profile = _checked(arguments, load)
    from detector.cluster.topics import settle

    return settle(settings, source, _policy(settings, profile))


def apply(arguments: Namespace, load: Load, since: int | None) -> tuple[bool, str]:
    """`querywarden policy apply --workers`: proposes the policy of the settings. Returns whether it holds, or may."""
    settings, source, profile = _checked(arguments, load)
    from detector.cluster.proposing import known, propose
    from detector.cluster.succession import promised
    from detector.reasons import rfc3339

    policy = settings.policy.over(promised(profile, known(settings, source)))
    at, decision = propose(settings, source, policy, since)
    if decision is None:
        return True, f"Proposed the policy {policy.version} from {rfc3339(at)} on; not all workers have answered yet."
    if decision.since is None:
        return False, f"The policy {policy.version} is refused: {decision.why}. Ask for a later time with --since."
    return True, f"The policy {policy.version} holds from {rfc3339(decision.since)} on, for all workers."


def successors(arguments: Namespace, load: Load, since: int | None) -> list[str]:
    """`querywarden successor --workers`: those that were made; or one takes over from a log time on, for all of them.
    Raises SettingsError where it does not.
    """
    settings, source, profile = _checked(arguments, load)
    from detector.cluster.proposing import approve, known
    from detector.reasons import rfc3339
    from detector.run.successors import listed

    if arguments.approve is None:
        found = known(settings, source)
        holds = [f"{name} takes over at {rfc3339(at)}." for at, name in found.names()]
        return [*listed(list(found.successors.values()), "querywarden successor --workers --config FILE"), *holds]
    at, decision = approve(settings, source, profile, arguments.approve, since)
    if decision is None:
        return [f"Proposed {arguments.approve} from {rfc3339(at)} on; not all workers have answered yet."]
    if decision.since is None:
        raise SettingsError(
            f"{arguments.approve} does not take over: {decision.why}. Ask for a later time with --since"
        )
    return [f"{arguments.approve} takes over at {rfc3339(decision.since)}, for all workers."]


def forget(arguments: Namespace, load: Load, meant: Callable[[Settings], str]) -> list[str]:
    """`querywarden forget --workers`: asks all to forget an entity; says what is left, for how long. meant: its id."""
    settings, source, profile = _checked(arguments, load)
    from detector.cluster.names import Names
    from detector.cluster.proposing import forget as ask

    kind, kinds = arguments.kind, ["client", *profile.summary.groups]
    if kind not in kinds:
        raise SettingsError(f"--kind: the profile judges no {kind}; {nearest_name(kind, kinds)}")
    entity, names = meant(settings), Names(settings.cluster.name)
    done = ask(settings, source, kind, entity, keep_alerts=arguments.keep_alerts)
    kept = ", ".join((names.alerts, names.held, names.tape, names.letters))
    return [
        f"{kind} {entity} is forgotten by all workers."
        if done
        else f"All workers are asked to forget {kind} {entity}; not all have done so yet. They will when they can.",
        f"What was told stays until it is too old: {kept}, {settings.store.tape_days} days.",
        f"So do its records: {names.queries}, {settings.cluster.retention_h:g} hours; and the log itself.",
        f"What was taken away goes when brokers compact {names.state}, {names.groups}, {names.sky}, {names.policies}.",
    ]


def _checked(arguments: Namespace, load: Load) -> tuple[Settings, KafkaSettings, Profile]:
    from detector.cluster import stages

    stages.need_faust()
    from detector.profile import artefact

    settings = load(arguments.config, dict(os.environ))
    path = settings.profile.path
    return settings, *stages.check(settings, artefact.load(Path(path)) if path else None)


def _policy(settings: Settings, profile: Profile) -> Policy:
    return settings.policy.over(profile.summary.policy.thresholds)
