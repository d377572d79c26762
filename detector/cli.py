"""The command line: what a user says, turned into one call of the part that does it."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from detector import dashboarding, ranging, sized, upkeep, workers
from detector.errors import QuerywardenError, SettingsError
from detector.run import journal_log

Command = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 done, 1 an error that is said in one line on stderr, 2 unusable arguments."""
    parsed = _parser().parse_args(arguments)
    command: Command = parsed.command
    journal_log.configure()
    try:
        return command(parsed)
    except QuerywardenError as error:
        print(f"querywarden: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except BrokenPipeError:  # the reader of our output has seen enough
        sys.stderr.close()
        return 0
    except OSError as error:  # a file that was named on the command line and cannot be written
        print(f"querywarden: {error.filename}: {error.strerror}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="querywarden", description="Finds the clients who are copying a served model through its own API."
    )
    parser.add_argument("--version", action="version", version=f"querywarden {version('querywarden')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _fit_arguments(commands.add_parser("fit", help="learn a profile from an honest log"))
    _replay_arguments(commands.add_parser("replay", help="the decisions on a log, offline"))
    for name, call, text in (
        ("run", _run, "read the log, detect, deliver alerts; for months"),
        ("check", _check, "reach the source and every sink, send a test alert, say what is wrong"),
        ("topics", _topics, "create and check the topics of workers (Kafka)"),
        ("worker", _worker, "one of many processes that share a Kafka topic (docs/cluster.md)"),
    ):
        sub = commands.add_parser(name, help=text)
        sub.add_argument("--config", required=True, type=Path, help="the TOML file (docs/settings.md)")
        sub.set_defaults(command=call)
        if name == "run":
            sub.add_argument(
                "--from", dest="start", metavar="WHERE", help="earliest, latest, a time or offset:N (Kafka)"
            )
            sub.add_argument("--no-alerts-before", metavar="TIME", help="RFC 3339; what came earlier alerts nobody")
    about = commands.add_parser("profile", help="look at a profile").add_subparsers(required=True, metavar="WHAT")
    show = about.add_parser("show", help="what was learned and promised")
    show.add_argument("profile", type=Path)
    show.set_defaults(command=_profile_show)
    upkeep.add(commands, about, _shown)
    _digest_arguments(commands.add_parser("digest", help="who is oddest, ranked, whether anything is promised or not"))
    _explain_arguments(commands.add_parser("explain", help="one client's evidence over time"))
    _policy_arguments(commands.add_parser("policy", help="ask a running querywarden for another policy"))
    dashboarding.add_arguments(commands.add_parser("dashboard", help="see who asks how, tune thresholds, judge alerts"))
    config = commands.add_parser("config", help="about the settings").add_subparsers(required=True, metavar="WHAT")
    config.add_parser("schema", help="their JSON Schema").set_defaults(command=_config_schema)
    demo = commands.add_parser("demo", help="simulate clients and attacks, detect them, show the result")
    demo.add_argument("--out", type=Path, default=Path("build/demo"), help="folder for everything that it writes")
    demo.add_argument("--seed", type=int, default=1)
    demo.add_argument("--dashboard", action="store_true", help="then keep the dashboard open on what it found")
    demo.set_defaults(command=_demo)
    ranging.add_arguments(commands.add_parser("range", help="attack a victim in every way we know, and report"))
    sized.add_arguments(
        commands.add_parser("size", help="the workers, memory and brokers that a rate of queries needs")
    )
    return parser


def _fit_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--log", action="append", required=True, help="honest log (JSON lines, plain, gzip, zstd)")
    parser.add_argument("--training", help="training.npz with inputs (n, d) and optionally labels")
    wanted = parser.add_mutually_exclusive_group()
    wanted.add_argument("--promise", type=_share, default=0.01, help="share of honest clients that may be named (0.01)")
    wanted.add_argument("--alerts-per-week", type=_positive, metavar="N", help="instead: false alerts to expect a week")
    wanted.add_argument("--observe", action="store_true", help="no promise and no alerts, where the log carries none")
    parser.add_argument("--confidence", type=_share, help="make it hold with this probability (0.9), not on average")
    parser.add_argument("--horizon", type=_horizon, default=30, help="span of the promise: 30d, or log (the log's own)")
    parser.add_argument("--scale-short-log", action="store_true", help="a log shorter than the horizon: promise less")
    parser.add_argument(
        "--class", action="append", default=[], dest="classes", metavar="NAME=KIND:ID",
        help="who is automation or a backend, as automation=client:svc-1 or backend=organisation:acme",
    )  # fmt: skip
    parser.add_argument("--exclude", action="append", default=[], metavar="CLIENT", help="an attacker in the log")
    parser.add_argument("--presumed-honest", action="store_true", help="nobody vouched for the log; alerts say so")
    parser.add_argument("--model", help="the served model; default: the one that was asked most often")
    parser.add_argument("--model-version", help="its version; default: the one that was asked most often")
    parser.add_argument("--only", type=_only, metavar="GROUP=VALUE", help="one use of the model: groups.GROUP is VALUE")
    parser.add_argument("--group", action="append", default=[], metavar="KIND", help="groups to judge; default: all")
    parser.add_argument(
        "--embedder", default="words", metavar="words|log|python:MODULE:NAME",
        help="of text: our own, the log's, or a function of yours that takes one text and gives its numbers",
    )  # fmt: skip
    parser.add_argument("--rings", action="store_true", help="look for accounts that are one hand, too")
    parser.add_argument("--watch", metavar="CLASS", help="River's detector that watches beside the signals, or none")
    parser.add_argument("--watch-parameter", action="append", default=[], metavar="NAME=VALUE", help="of that class")
    parser.add_argument("--watch-scaler", action="append", default=[], metavar="CLASS", help="River's scaler before it")
    parser.add_argument("--format", default="native", help="log format")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", required=True, type=Path, help="folder of the profile")
    upkeep.add_pseudonyms(parser)
    parser.set_defaults(command=_fit)


def _replay_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--profile", required=True, type=Path)
    parser.add_argument("--log", action="append", required=True)
    parser.add_argument("--alerts", required=True, type=Path, help="where to write the alerts, one JSON object a line")
    parser.add_argument("--held", type=Path, help="where to write those that were held since the population moved")
    parser.add_argument("--config", type=Path, help="take policy and versions from these settings, not the profile's")
    parser.add_argument("--format", default="native")
    upkeep.add_pseudonyms(parser)
    parser.set_defaults(command=_replay)


def _shown(parser: argparse.ArgumentParser, command: Callable[[argparse.Namespace], list[str]]) -> None:
    """A command that only says something."""

    def run(arguments: argparse.Namespace) -> int:
        _say(*command(arguments))
        return 0

    parser.set_defaults(command=run)


def _explain_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--profile", required=True, type=Path)
    parser.add_argument("--log", action="append", required=True)
    parser.add_argument("--format", default="native")
    parser.add_argument("--plot", type=Path, help="PNG to write (explain-CLIENT.png beside you by default)")
    parser.add_argument("--no-plot", action="store_true")
    parser.add_argument("client", metavar="CLIENT")
    upkeep.add_pseudonyms(parser)
    parser.set_defaults(command=_explain)


def _digest_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--profile", required=True, type=Path)
    parser.add_argument("--log", action="append", required=True)
    parser.add_argument("--since", metavar="TIME", help="RFC 3339; rank by what came since, say what was before")
    parser.add_argument("--top", type=int, default=20, metavar="N", help="how many (20)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--format", default="native")
    upkeep.add_pseudonyms(parser)
    _shown(parser, _digest)


def _policy_arguments(parser: argparse.ArgumentParser) -> None:
    apply = parser.add_subparsers(required=True, metavar="WHAT").add_parser(
        "apply", help="the [policy] of the settings, from a log time on"
    )
    apply.add_argument("--config", required=True, type=Path)
    apply.add_argument("--since", metavar="TIME", help="RFC 3339; default: from the newest log time on")
    apply.add_argument("--workers", action="store_true", help="of all workers (docs/cluster.md)")
    apply.set_defaults(command=_policy_apply)


def _fit(arguments: argparse.Namespace) -> int:
    from detector.profile import artefact, fit
    from detector.profile.classing import read_membership
    from detector.profile.report import report
    from detector.profile.training import training_from
    from detector.progress import Progress
    from detector.run.replay import read_logs

    upkeep.trusted(arguments.embedder)
    key = upkeep.secret_of(arguments.pseudonyms)
    decode = _decoder(arguments, only=arguments.only, model=arguments.model)
    options = fit.Options(
        promise=arguments.promise,
        alerts_per_week=arguments.alerts_per_week,
        confidence=arguments.confidence,
        horizon_us=None if arguments.horizon == "log" else int(arguments.horizon * fit.DAY_US),
        seed=arguments.seed,
        model=arguments.model,
        model_version=arguments.model_version,
        groups=tuple(arguments.group),
        exclude=frozenset(upkeep.meant(client, "client", key) for client in arguments.exclude),
        presumed=arguments.presumed_honest,
        scale_short_log=arguments.scale_short_log,
        watch=_watch(arguments),
        observe=arguments.observe,
        only=arguments.only,
        embedder=arguments.embedder,
        rings=arguments.rings,
        classes=tuple(one.of(upkeep.meant(one.id, one.kind, key)) for one in map(read_membership, arguments.classes)),
    )
    training = training_from(arguments.training) if arguments.training else None
    with Progress("fit") as progress:
        made = fit.fit(lambda: read_logs(arguments.log, progress.add), decode, training, options, progress.stage)
    artefact.save(made, arguments.out)
    _say(*report(made), "", f"Saved to {arguments.out}")
    return 0


def _watch(arguments: argparse.Namespace):  # type: ignore[no-untyped-def]
    """The one-class model that was chosen; None for none."""
    from detector.learned.kinds import Choice, Step, checked

    if arguments.watch == "none":
        return None
    usual = Choice()
    kind = arguments.watch or usual.detector.kind
    given = dict(_parameter(text) for text in arguments.watch_parameter)
    own = given if kind != usual.detector.kind else {**usual.detector.parameters, **given}
    return checked(Choice(Step(kind, own), tuple(Step(scaler) for scaler in arguments.watch_scaler)))


def _parameter(text: str) -> tuple[str, object]:
    """`name=value`, the value as JSON where it is."""
    import msgspec

    name, equals, value = text.partition("=")
    if not equals:
        raise SettingsError(f"--watch-parameter: {text!r} is not NAME=VALUE")
    try:
        return name, msgspec.json.decode(value)
    except msgspec.DecodeError:
        return name, value


def _replay(arguments: argparse.Namespace) -> int:
    from detector.profile import artefact
    from detector.progress import Progress
    from detector.run.replay import read_logs, replay, write_alerts
    from detector.settings import EntitySettings, PolicySettings

    profile = artefact.load(arguments.profile)
    decode = _decoder(arguments, only=profile.summary.only, model=profile.summary.model)
    settings = _settings(arguments.config) if arguments.config else None
    asked_for = settings.policy if settings else PolicySettings()
    also = settings.profile.also_versions if settings else ()
    unnamed = (settings.entities if settings else EntitySettings()).unnamed_members
    policy = asked_for.over(profile.summary.policy.thresholds)
    write_alerts([], arguments.alerts)  # whether it can be written turns out now, not after an hour
    with Progress("replay") as progress:
        progress.stage("replaying")
        logs = read_logs(arguments.log, progress.add)
        done = replay(profile, policy, logs, decode, also_versions=also, unnamed_members=unnamed)
    write_alerts(done.alerts, arguments.alerts)
    if arguments.held:
        write_alerts(done.held, arguments.held)
    named = {alert.entity.id for alert in done.alerts if alert.action == "open" and alert.kind != "population"}
    _say(
        f"{done.records:,} records, {done.judged:,} queries judged, {len(done.pipeline.clients):,} clients; "
        f"{len(done.alerts):,} alerts name {len(named):,} entities: {arguments.alerts}"
    )
    _say(*(f"{alert.at[:19]}Z {alert.message}" for alert in done.alerts if alert.kind == "population"))
    if done.held:
        _say(f"{len(done.held):,} alerts were held meanwhile: nobody would have been told one by one.")
    if done.letters:
        set_aside = ", ".join(f"{count:,} {reason}" for reason, count in sorted(done.letters.items()))
        _say(f"Set aside: {set_aside}")
    return 0


def _run(arguments: argparse.Namespace) -> int:
    import msgspec

    from detector.run.judge import check_groups
    from detector.run.local import LocalRunner
    from detector.sources import KafkaSettings

    environ = dict(os.environ)
    if arguments.no_alerts_before:
        environ["QUERYWARDEN_RUN__NO_ALERTS_BEFORE"] = arguments.no_alerts_before
    settings = _settings(arguments.config, environ)
    if arguments.start:
        if not isinstance(settings.source, KafkaSettings):
            raise SettingsError("--from is for a Kafka source; files are read from their start")
        source = msgspec.structs.replace(settings.source, start=arguments.start)
        settings = msgspec.structs.replace(settings, source=source)
    journal_log.configure(settings.telemetry.log_level, settings.telemetry.log_json)
    beside = dashboarding.beside(settings, arguments.config, environ)
    runner = LocalRunner(settings)
    check_groups(settings, runner.profile)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: runner.stop())
    with beside:
        runner.run()
    return 0


def _worker(arguments: argparse.Namespace) -> int:
    return workers.work(arguments, _settings)


def _topics(arguments: argparse.Namespace) -> int:
    _say(*workers.topics(arguments, _settings))
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from detector.run.check import check

    lines, well = check(_settings(arguments.config))
    _say(*lines)
    return 0 if well else 1


def _profile_show(arguments: argparse.Namespace) -> int:
    from detector.profile import artefact
    from detector.profile.report import report

    _say(*report(artefact.load(arguments.profile)))
    return 0


def _explain(arguments: argparse.Namespace) -> int:
    from detector.explain import draw, explain, sentences
    from detector.profile import artefact
    from detector.run.replay import read_logs

    profile = artefact.load(arguments.profile)
    policy = profile.summary.policy
    key = upkeep.secret_of(arguments.pseudonyms)
    client = upkeep.meant(arguments.client, "client", key)
    decode = _decoder(arguments, only=profile.summary.only, model=profile.summary.model)
    found = explain(profile, policy, read_logs(arguments.log), decode, client)
    _say(*sentences(profile, policy, found))
    if not arguments.no_plot:
        safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in client)
        path = arguments.plot or Path(f"explain-{safe}.png")
        draw(policy, found, profile.kit.signals, path)
        _say(f"Plot: {path}")
    return 0


def _digest(arguments: argparse.Namespace) -> list[str]:
    from detector.digest import digest, lines
    from detector.profile import artefact
    from detector.progress import Progress
    from detector.run.replay import read_logs

    profile = artefact.load(arguments.profile)
    decode = _decoder(arguments, only=profile.summary.only, model=profile.summary.model)
    since = None if arguments.since is None else upkeep.moment(arguments.since)
    with Progress("digest") as progress:
        progress.stage("replaying")
        found = digest(profile, read_logs(arguments.log, progress.add), decode, since)
    return lines(profile, found, arguments.top, as_json=arguments.json)


def _policy_apply(arguments: argparse.Namespace) -> int:
    from detector.profile import artefact
    from detector.run.store import request_policy

    since = upkeep.moment(arguments.since) if arguments.since else None
    if arguments.workers:
        well, said = workers.apply(arguments, _settings, since)
        _say(said)
        return 0 if well else 1
    settings = _settings(arguments.config)
    promised = {}
    if settings.profile.path:
        promised = artefact.load(Path(settings.profile.path)).summary.policy.thresholds
    policy = settings.policy.over(promised)
    number = request_policy(Path(settings.store.path) / "state.sqlite", policy, since)
    _say(f"Asked for the policy {policy.version} (request {number}); the runner takes it within a second.")
    return 0


def _config_schema(arguments: argparse.Namespace) -> int:
    from detector.schema import settings_schema, text_of

    _say(text_of(settings_schema()).rstrip())
    return 0


def _demo(arguments: argparse.Namespace) -> int:
    from detector.redteam.demo import SETTINGS, demo

    if arguments.dashboard:
        dashboarding.need_extra()
    demo(arguments.out, arguments.seed)
    config = str(arguments.out / SETTINGS)
    if arguments.dashboard:
        return main(["run", "--config", config])
    _say(f"Look at it on the dashboard: querywarden run --config {config}  (or: make demo DASHBOARD=1)")
    return 0


def _settings(path: Path, environ: dict[str, str] | None = None):  # type: ignore[no-untyped-def]
    from detector.settings import load

    settings = load(path, os.environ if environ is None else environ)
    upkeep.trusted(settings.profile.embedder)
    return settings


def _decoder(arguments: argparse.Namespace, *, only, model):  # type: ignore[no-untyped-def]
    from detector.pseudonyms import decoder

    return decoder(arguments.format, upkeep.secret_of(arguments.pseudonyms), only, model)


def _only(text: str):  # type: ignore[no-untyped-def]
    from detector.only import Only

    group, found, value = text.partition("=")
    if not (group and found and value):
        raise argparse.ArgumentTypeError(f"{text} is not GROUP=VALUE")
    return Only(group, value)


def _share(text: str) -> float:
    value = float(text)
    if not 0.0 < value < 1.0:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def _positive(text: str) -> float:
    value = float(text)
    if not 0.0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return value


def _horizon(text: str) -> float | str:
    if text == "log":
        return text
    try:
        days = float(text.removesuffix("d"))
    except ValueError:
        days = 0.0
    if days <= 0:
        raise argparse.ArgumentTypeError(f"{text} is neither a number of days such as 30d, nor log")
    return days


def _say(*lines: str) -> None:
    for line in lines:
        print(line)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
