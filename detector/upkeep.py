"""The commands of an operator's everyday: who is to be forgotten, what a store holds, and what a new profile would say.

Each takes the arguments of the command line, and returns the lines that are shown.
"""

from __future__ import annotations

import argparse
import getpass
import os
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from detector import workers
from detector.errors import SettingsError, StoreLocked, nearest_name
from detector.secret import Secret

if TYPE_CHECKING:  # what a command needs is imported where it runs, so that `--help` answers at once
    from detector.profile.artefact import Profile
    from detector.settings import Settings

Command: TypeAlias = Callable[[argparse.Namespace], list[str]]
Commands: TypeAlias = Any  # what add_subparsers returns; argparse keeps its type to itself


def add(commands: Commands, profile: Commands, set_command: Callable[[argparse.ArgumentParser, Command], None]) -> None:
    """Adds the commands to those of the command line; `profile`: the commands about profiles."""

    def made(to: Commands, name: str, text: str, command: Command) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = to.add_parser(name, help=text)
        if command is not _compare:
            parser.add_argument("--config", required=True, type=Path, help="the TOML file (docs/settings.md)")
        set_command(parser, command)
        return parser

    forget = made(commands, "forget", "erase what is kept of a client", _forget)
    forget.add_argument("--kind", default="client", help="client (default), or the group that is judged")
    forget.add_argument("--workers", action="store_true", help="by all workers (docs/cluster.md)")
    forget.add_argument("--keep-alerts", action="store_true", help="those that still wait for a sink are delivered")
    pseudonym = made(commands, "pseudonym", "the pseudonym of a client", _pseudonym)
    pseudonym.add_argument("--kind", default="client", help="client (default), or the name of a group")
    for parser in (forget, pseudonym):
        parser.add_argument("client", metavar="CLIENT")
    successor = made(commands, "successor", "the one-class models that may take over", _successor)
    successor.add_argument("--approve", metavar="NAME", help="let it take over")
    successor.add_argument("--workers", action="store_true", help="of all workers (docs/cluster.md)")
    successor.add_argument("--since", metavar="TIME", help="RFC 3339, with --workers; default: soon (docs/cluster.md)")
    _verdict_arguments(made(commands, "verdict", "say what a case was", _verdict))
    given = made(commands, "verdicts", "what was said of cases", _verdicts)
    given.add_argument("--teach", type=Path, metavar="FILE", help="take the cases of `querywarden range --cases`")
    waiting = made(commands, "cases", "the open cases, the likeliest attack first", _cases)
    waiting.add_argument("--top", type=int, default=20, metavar="N", help="how many (20)")
    made(commands, "shadow", "how a profile that runs in shadow stands", _shadow)
    about = commands.add_parser("store", help="look at the store, copy it, put it back, upgrade it")
    store = about.add_subparsers(required=True, metavar="WHAT")
    made(store, "show", "what it holds", _show)
    made(store, "backup", "copy it, also while it is run", _backup).add_argument("target", metavar="DEST", type=Path)
    restore = made(store, "restore", "put a copy back", _restore)
    restore.add_argument("--force", action="store_true", help="replace a store that is there; it is kept aside")
    restore.add_argument("source", metavar="SRC", type=Path)
    made(store, "upgrade", "take it to the schema of this version", _upgrade)
    compare = made(profile, "compare", "two profiles side by side", _compare)
    compare.add_argument("--log", action="append", default=[], help="replay it under both: who is named by which")
    compare.add_argument("--format", default="native", help="log format")
    add_pseudonyms(compare)
    compare.add_argument("old", type=Path)
    compare.add_argument("new", type=Path)


def _verdict_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("case", metavar="CASE", help="the case_id of its alerts")
    parser.add_argument("answer", choices=("attack", "honest", "automation", "unsure"))
    parser.add_argument("--note", default="", metavar="TEXT", help="why; kept with the verdict")
    parser.add_argument("--by", metavar="NAME", help="who says so; default: the user of this process")


def add_pseudonyms(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--pseudonyms", metavar="ENV_OR_FILE", help="variable or file with the key that replaces ids by pseudonyms"
    )


def secret_of(text: str | None) -> Secret | None:
    """The key that `--pseudonyms` refers to: an environment variable that is set, else a file."""
    if text is None:
        return None
    return Secret(env=text) if text in os.environ else Secret(file=text)


def meant(client: str, kind: str, key: Secret | None) -> str:
    """The id that is kept of whom a person means: with pseudonyms, one that he gives or that of the id he gives."""
    from detector.pseudonyms import Pseudonyms

    return client if key is None else Pseudonyms(key.reveal()).found(kind, client)


def moment(text: str) -> int:
    """`--since` in microseconds."""
    from detector.settings import micros

    try:
        return micros(datetime.fromisoformat(text))
    except (ValueError, TypeError) as error:
        raise SettingsError(f"--since: {text!r} is not an RFC 3339 time with an offset") from error


def _forget(arguments: argparse.Namespace) -> list[str]:
    if arguments.workers:

        def of(settings: Settings) -> str:
            return meant(arguments.client, arguments.kind, settings.entities.pseudonyms)

        return workers.forget(arguments, lambda path, env: _settings(arguments), of)
    settings = _settings(arguments)
    folders = [(Path(settings.store.path), _profile(settings.profile.path))]
    if settings.shadow.store is not None and Path(settings.shadow.store).exists():
        folders.append((Path(settings.shadow.store), _profile(settings.shadow.profile)))
    for _, profile in folders:
        _check_kind(arguments.kind, profile)
    entity = meant(arguments.client, arguments.kind, settings.entities.pseudonyms)
    return [_forget_in(folder, profile, arguments.kind, entity, arguments.keep_alerts) for folder, profile in folders]


def _forget_in(folder: Path, profile: Profile | None, kind: str, entity: str, keep_alerts: bool) -> str:
    """Asks first, so that a crash of this process leaves a request; then does it, if nobody runs the store."""
    from detector.run.forgetting import ask, forget_at_rest
    from detector.run.judge import LEARNING
    from detector.run.outbox import Outbox
    from detector.run.store import Store

    number = ask(folder / "state.sqlite", kind, entity, keep_alerts=keep_alerts)
    try:
        store = Store(folder / "state.sqlite", profile=profile.summary.id if profile else LEARNING)
    except StoreLocked:
        return f"{folder}: asked to forget {kind} {entity} (request {number}); the runner takes it within a second."
    with closing(store), closing(Outbox(folder / "outbox.sqlite")) as outbox:
        model, secret = (profile.summary.model, profile.secret) if profile else ("", b"")
        if number not in forget_at_rest(store, outbox, model, secret):
            return f"{folder}: {kind} {entity} will be forgotten when the log was read to where it stood."
    return f"{folder}: {kind} {entity} is forgotten."


def _check_kind(kind: str, profile: Profile | None) -> None:
    kinds = ["client", *(profile.summary.groups if profile else ())]
    if kind not in kinds:
        raise SettingsError(f"--kind: the profile judges no {kind}; {nearest_name(kind, kinds)}")


def _pseudonym(arguments: argparse.Namespace) -> list[str]:
    from detector.pseudonyms import Pseudonyms

    key = _settings(arguments).entities.pseudonyms
    if key is None:
        raise SettingsError(f"{arguments.config}: entities.pseudonyms is not set, so ids are kept as the log has them")
    return [Pseudonyms(key.reveal()).of(arguments.kind, arguments.client)]


def _show(arguments: argparse.Namespace) -> list[str]:
    from detector.run.show import show

    return show(_store(arguments))


def _backup(arguments: argparse.Namespace) -> list[str]:
    from detector.run.backup import backup

    made = backup(_store(arguments), arguments.target, datetime.now(UTC))
    size = sum(copied.bytes for copied in made.files.values()) / 2**20
    return [f"Copied to {arguments.target}: {size:,.1f} MiB of profile {made.profile}, {made.made_at}"]


def _restore(arguments: argparse.Namespace) -> list[str]:
    from detector.run.backup import restore
    from detector.run.judge import LEARNING

    settings = _settings(arguments)
    profile = _profile(settings.profile.path)
    done = restore(
        arguments.source,
        Path(settings.store.path),
        profile.summary.id if profile else LEARNING,
        force=arguments.force,
        at=datetime.now(UTC),
    )
    lines = [f"Restored the copy of {done.manifest.made_at} to {settings.store.path}."]
    if done.aside is not None:
        lines.append(f"What was there is in {done.aside}.")
    if done.forgotten is None:
        lines.append("Whom that store had forgotten since could not be read: ask again with `querywarden forget`.")
    elif done.forgotten:
        lines.append(f"{done.forgotten:,} that were forgotten since will be forgotten again when the log is read.")
    return lines


def _upgrade(arguments: argparse.Namespace) -> list[str]:
    from detector.run.upgrade import upgrade

    return upgrade(_store(arguments))


def _successor(arguments: argparse.Namespace) -> list[str]:
    from detector.profile import artefact
    from detector.run.successors import approve, shown

    since = None if arguments.since is None else moment(arguments.since)
    if arguments.workers:
        return workers.successors(arguments, lambda path, env: _settings(arguments), since)
    if since is not None:
        raise SettingsError("--since: one process lets it take over at once; a log time is for --workers")
    settings = _settings(arguments)
    store = Path(settings.store.path) / "state.sqlite"
    if arguments.approve is None:
        return shown(store)
    if settings.profile.path is None:
        raise SettingsError("profile.path: none is set, so that there is no model to succeed")
    profile = artefact.load(Path(settings.profile.path))
    number = approve(store, profile, arguments.approve, settings.policy.over(profile.summary.policy.thresholds))
    return [f"Asked for the successor {arguments.approve} (request {number}); the runner takes it within a second."]


def _verdict(arguments: argparse.Namespace) -> list[str]:
    from detector.run import verdicts

    try:
        by = arguments.by or getpass.getuser()
    except (KeyError, OSError) as error:  # a container whose user has no name
        raise SettingsError("--by: say who you are, since the user of this process has no name") from error
    profile = _judging(arguments)
    return verdicts.say(_store(arguments), profile, arguments.case, arguments.answer, by=by, note=arguments.note)


def _verdicts(arguments: argparse.Namespace) -> list[str]:
    from detector.run import verdicts

    store, profile = _store(arguments), _judging(arguments)
    if arguments.teach is not None:
        return verdicts.teach(store, profile, arguments.teach)
    return verdicts.verdicts(store, profile)


def _cases(arguments: argparse.Namespace) -> list[str]:
    from detector.run import verdicts

    return verdicts.waiting(_store(arguments), _judging(arguments), arguments.top)


def _judging(arguments: argparse.Namespace) -> Profile:
    """The profile that the settings name."""
    profile = _profile(_settings(arguments).profile.path)
    if profile is None:
        raise SettingsError("profile.path: none is set, so that there are no cases")
    return profile


def _shadow(arguments: argparse.Namespace) -> list[str]:
    from detector.profile import artefact
    from detector.run.rivals import shadow_report

    settings = _settings(arguments)
    if settings.shadow.profile is None or settings.shadow.store is None:
        raise SettingsError(f"{arguments.config}: no [shadow] is set")
    summary = artefact.load(Path(settings.shadow.profile)).summary
    return shadow_report(Path(settings.store.path), Path(settings.shadow.store), summary)


def _compare(arguments: argparse.Namespace) -> list[str]:
    from detector.profile import artefact
    from detector.profile.compare import compare
    from detector.progress import Progress
    from detector.pseudonyms import decoder
    from detector.run.replay import read_logs
    from detector.run.rivals import in_log, parted

    old, new = artefact.load(arguments.old), artefact.load(arguments.new)
    lines = compare(old, new)
    if arguments.log:
        key = secret_of(arguments.pseudonyms)
        with Progress("compare") as progress:
            progress.stage("replaying under the old one")
            decode = decoder(arguments.format, key, old.summary.only, old.summary.model)
            was = in_log(old, read_logs(arguments.log, progress.add), decode)
            progress.stage("replaying under the new one")
            decode = decoder(arguments.format, key, new.summary.only, new.summary.model)
            now = in_log(new, read_logs(arguments.log, progress.add), decode)
        lines += ["", *parted(was, now)]
    return lines


def _settings(arguments: argparse.Namespace) -> Settings:
    from detector.settings import load

    settings = load(arguments.config, os.environ)
    trusted(settings.profile.embedder)
    return settings


def trusted(embedder: str | None) -> None:
    """The operator named this embedder: if it is a function of his own, it is imported, and may read."""
    from detector.named import PYTHON, named
    from detector.text.reading import trust

    if embedder is not None and embedder.startswith(PYTHON):
        trust(embedder, named(embedder))


def _store(arguments: argparse.Namespace) -> Path:
    return Path(_settings(arguments).store.path)


def _profile(path: str | None) -> Profile | None:
    from detector.profile import artefact

    return artefact.load(Path(path)) if path else None
