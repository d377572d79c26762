"""A profile in words: what was learned, on how many clients, what is promised, and what to expect of it."""

from __future__ import annotations

from detector.alert import SEVERITIES
from detector.exposure.known import CLONE, Known
from detector.profile.artefact import Level, Profile, Summary
from detector.profile.promised import WEEK_DAYS, passed_after_exclusion


def report(profile: Profile) -> list[str]:
    """The lines of `querywarden profile show`."""
    s = profile.summary
    lines = [
        f"Profile {s.id} of the model {s.model}{_versions(s.versions)} ({s.width} inputs)"
        + (f", for queries with {s.only.text} only" if s.only else ""),
        f"  Learned from {s.queries:,} queries of {s.clients:,} clients, {s.log_from[:10]} to {s.log_to[:10]}; "
        f"{s.unreadable:,} records unreadable, {s.unidentified:,} without identity.",
        f"  Training distribution: {s.reference}. State of the promise: {s.state}.",
        "",
        *_promise(s),
        "",
    ]
    for level in s.levels:
        lines += _level(level)
    lines += _policy(profile)
    lines += ["Signals: " + ", ".join(name for name in s.signals if name not in {o.signal for o in s.off})]
    lines += [f"  off: {o.signal}, {o.reason}. Seen late or not at all without it: {o.hides}." for o in s.off]
    lines += _seen(s)
    lines += _swept(s)
    lines += _exposure(profile.known)
    lines += [f"Note: {remark}" for remark in s.remarks]
    return lines + _oddest(profile)


def _exposure(known: Known) -> list[str]:
    if not known.labelled:
        return ["Exposure: of the input space only, since the log has no labels to learn from."]
    judged = "Too few clients ask enough for agreement to be judged."
    if known.judged:
        judged = f"Agreement is judged against honest clients up to {known.judged:,} queries."
    return [
        f"Exposure: a student is audited on {len(known.audit_places):,} honest queries. Who always gives the commonest "
        f"answer is right in {known.chance:.0%}, a clone of {CLONE:,} queries in {known.clone:.0%}. {judged}"
    ]


def _promise(s: Summary) -> list[str]:
    if s.promise is None:
        return ["Promise: none. This profile only observes: it ranks (`querywarden digest`) and names nobody."]
    return [
        f"Promise: of the honest clients of this class, at most {s.promise:.2%} "
        f"{'(on average over calibrations)' if s.confidence is None else f'(with confidence {s.confidence:.0%})'} "
        f"are named in any alert within {span(s.horizon)} of their first query.",
        f"  Expected false alerts: {s.alerts_a_day:.2g} a day, {s.alerts_a_day * WEEK_DAYS:.2g} a week, if as many "
        "clients are active as in the log.",
    ]


def _versions(names: tuple[str, ...]) -> str:
    return f", version {' and '.join(names)}" if names else ""


def span(horizon: str) -> str:
    """A horizon in words: `30d`, or `log`."""
    return "a span like the log's own" if horizon == "log" else horizon.replace("d", " days")


def _level(level: Level) -> list[str]:
    head = f"Level {level.kind}: {level.learned} taught, {level.scaled} set the scale, {level.calibrated} calibrated"
    if level.unit not in ("client", level.kind):
        head += f" (one client stands for each {level.unit})"
    if level.threshold is None or level.share is None:
        return [head + ".", f"  {level.note}; the least that could be promised is {level.smallest:.2%}.", ""]
    lines = [
        head + ".",
        f"  Share of the promise: {level.share:.2%}. Threshold {level.threshold:.3f}: number {level.rank} of the "
        f"{level.calibrated + level.excluded} highest scores.",
        f"  The share of honest entities that really pass it lies between {level.low:.2%} and {level.high:.2%} with "
        f"probability 90% (Beta law). No threshold promises less than {level.smallest:.2%}.",
    ]
    if any(one.high for one in level.volumes):
        shares = [f"{one.high} of {one.clients} from {one.least}" for one in level.volumes if one.clients]
        lines.append(f"  Among the highest twentieth, by how many queries they asked: {', '.join(shares)}.")
    if level.excluded and level.rank is not None:
        passed = passed_after_exclusion(level.calibrated, level.rank, level.excluded)
        lines.append(
            f"  {level.excluded} were taken out by hand and count as never passed. Were they honest after all, up to "
            f"{passed:.2%} pass: (m + 1 - k + r) / (m + 1) with m {level.calibrated}, k {level.rank}, "
            f"r {level.excluded}."
        )
    return [*lines, ""]


def _policy(profile: Profile) -> list[str]:
    lines = []
    for kind, thresholds in profile.summary.policy.thresholds.items():
        if not thresholds:
            continue
        steps = sorted(thresholds, key=lambda t: SEVERITIES.index(t.severity))
        lines.append(f"Thresholds of {kind}: " + ", ".join(f"{t.severity} from {t.score:.2f}" for t in steps) + ".")
    return [*lines, ""]


def _seen(s: Summary) -> list[str]:
    """What the joint signal makes of queries that `fit` made: those of a kind it was not taught on are not its task."""
    if not s.seen:
        return []
    told = [f"{kind.kind} {kind.share:.1%}{' (taught on)' if kind.taught else ''}" for kind in s.seen]
    return [
        "  joint.blend, beyond what 99% of honest queries show, of made queries of clients that did not teach it: "
        + ", ".join(told)
        + "."
    ]


def _swept(s: Summary) -> list[str]:
    """What the sequence model makes of sweeps that `fit` made, each kind left out of its lessons, worst first."""
    if not s.swept:
        return ["Sequence model: none (see the notes)."]
    told = [
        f"{one.kind}{f' hidden at {one.share:.0%}' if one.share < 1 else ''} {one.seen:.0%}"
        + (f" after {one.queries:g}" if one.queries else "")
        for one in s.swept
    ]
    made = sum(one.made for one in s.swept)
    return [
        f"Sequence model: taught on {made:,} sweeps that were made of the learn set's queries. When a kind was left "
        "out, so many of it became as odd as one honest client in a hundred, after a median of so many queries; worst "
        f"first: {', '.join(told)}."
    ]


def _oddest(profile: Profile) -> list[str]:
    oddest = profile.level("client").oddest
    if not oddest:
        return []
    lines = ["", "Oddest calibration clients (were they honest? else fit again with --exclude):"]
    return lines + [f"  {o.score:6.2f}  {o.id}  after {o.queries:,} queries. {o.text}" for o in oddest]
