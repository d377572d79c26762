"""The report for a browser: one file that asks nobody for anything, with a table behind every plot."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape

from detector.redteam.outcome import Against, Attacked, Judge, Report, Spread
from detector.redteam.plots import Dot, behind, curves, dumbbells, keys, legend, table
from detector.redteam.style import CSS

PANELS = 18  # detection curves that are shown at once; the others can be opened
END, PLAIN = -1, 1  # series of the dots that belong to no detector


def page(report: Report) -> str:
    """The whole document."""
    body = "".join(part for section in _sections(report) for part in section)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>Range: {escape(report.victim.name)}</title><style>{CSS}</style></head>"
        f"<body><main>{body}</main></body></html>\n"
    )


def _sections(report: Report) -> Iterator[Iterator[str]]:
    yield _head(report)
    yield _matrix(report)
    yield _detection(report)
    yield _copies(report)
    yield _adapting(report)
    yield _honest(report)
    yield _foot(report)


def _head(report: Report) -> Iterator[str]:
    victim = report.victim
    right = "" if victim.accuracy is None else f", right on {victim.accuracy:.0%} of honest inputs"
    kind = (
        f"A victim of {victim.width} numbers and {victim.classes} classes{right}"
        if victim.width
        else "A language model"
    )
    yield f"<h1>Who copies {escape(victim.name)}, and who notices</h1>"
    yield (
        f'<p class="quiet">{kind}; '
        f"{len(report.campaigns)} kinds of campaigns of {report.budget:,} queries each; seed {report.seed}. "
        "Every detector judged the same queries and was held to the same promise.</p>"
    )
    yield '<div class="tiles">'
    for series, judge in enumerate(report.detectors):
        rows = [against for one in report.campaigns for against in one.against if against.detector == judge.name]
        caught = sum(row.named.share >= 0.5 for row in rows)
        yield (
            f'<div class="tile" style="--mark: var(--s{series % 6})">{escape(judge.name)}<b>{caught} of {len(rows)}</b>'
            f"kinds of campaigns where most accounts were named; honest clients named: {judge.honest.named.named} of "
            f"{judge.honest.named.of}</div>"
        )
    yield "</div>"


def _matrix(report: Report) -> Iterator[str]:
    forms = list(dict.fromkeys(_form(one) for one in report.campaigns))
    if len(forms) < 2:
        return
    yield "<h2>Attacks and their forms</h2><p>Share of the accounts named; median of their queries until then.</p>"
    for number, judge in enumerate(report.detectors):
        inside = _heat(report, judge.name, forms)
        yield f"<h3>{escape(judge.name)}</h3>{inside}" if number == 0 else behind(judge.name, inside)


def _heat(report: Report, detector: str, forms: Sequence[str]) -> str:
    cells = {(_attack(one), _form(one)): _of(one, detector) for one in report.campaigns}
    head = "".join(f"<th>{escape(form or 'pure')}</th>" for form in forms)
    rows = []
    for attack in dict.fromkeys(_attack(one) for one in report.campaigns):
        row = [_warm(cells.get((attack, form))) for form in forms]
        rows.append(f'<tr><th scope="row">{escape(attack)}</th>{"".join(row)}</tr>')
    return (
        f'<div class="wide" tabindex="0"><table class="heats"><thead><tr><th>attack</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _warm(found: Against | None) -> str:
    if found is None:
        return "<td></td>"
    when = "never" if found.queries.median is None else f"{found.queries.median:g}"
    return (
        f'<td class="heat" style="--share: {found.named.share:.2f}">{found.named.share:.0%}<small>{when}</small></td>'
    )


def _detection(report: Report) -> Iterator[str]:
    yield "<h2>Detection against queries</h2>"
    yield "<p>Share of the accounts that were named by so many queries of their own.</p>"
    yield legend([judge.name for judge in report.detectors])
    pure_first = sorted(report.campaigns, key=lambda one: _form(one) != "")
    panels = [curves(one) for one in pure_first]
    yield f'<div class="panels">{"".join(panels[:PANELS])}</div>'
    if panels[PANELS:]:
        yield behind(f"{len(panels) - PANELS} more", f'<div class="panels">{"".join(panels[PANELS:])}</div>')
    rows = [
        [one.campaign, against.detector, f"{against.named.named} of {against.named.of}", _interval(against),
         _spread(against.queries), ", ".join(f"{kind} {n}" for kind, n in against.kinds.items())]
        for one in report.campaigns for against in one.against
    ]  # fmt: skip
    head = ["campaign", "detector", "named", "95% interval", "queries until then: median (least to most)", "named as"]
    yield behind("The figures", table(head, rows))


def _copies(report: Report) -> Iterator[str]:
    if all(one.end.fidelity.median is None for one in report.campaigns):
        return
    yield "<h2>What was saved</h2>"
    yield (
        "<p>How well a clone agrees with the victim on honest inputs: a clone of what had been asked when the accounts "
        "were named, and of all in the end, had nobody acted. Medians over campaigns.</p>"
    )
    names = [judge.name for judge in report.detectors]
    yield keys([*((i, f"when {name} named it") for i, name in enumerate(names)), (END, "in the end")])
    rows = []
    for one in report.campaigns:
        dots = [Dot(one.end.fidelity.median or 0.0, END, f"in the end {_percent(one.end.fidelity)}")]
        for series, against in reversed(list(enumerate(one.against))):
            if against.each:
                then = against.copy.fidelity
                dots.append(Dot(then.median or 0.0, series, f"{against.detector} {_percent(then)}"))
        rows.append((one.campaign, dots))
    yield dumbbells(rows[:40])
    if rows[40:]:
        yield behind(f"{len(rows) - 40} more", dumbbells(rows[40:]))
    head = ["campaign", "detector", "fidelity then", "in the end", "saved", "accuracy then", "in the end"]
    cells = [
        [one.campaign, against.detector, _percent(against.copy.fidelity), _percent(one.end.fidelity),
         f"{against.saved:.1%}", _percent(against.copy.accuracy), _percent(one.end.accuracy)]
        for one in report.campaigns for against in one.against
    ]  # fmt: skip
    yield behind("The figures", table(head, cells))


def _adapting(report: Report) -> Iterator[str]:
    if not report.adapted:
        return
    yield "<h2>What adapting costs the thief</h2>"
    yield (
        "<p>Fidelity of the clone in the end, at the same budget: of the plain attack, and of the same one asked in a "
        "less conspicuous manner.</p>"
    )
    yield keys([(PLAIN, "plain"), (0, "adapted")])
    yield dumbbells(
        [
            (one.campaign, [Dot(one.plain_fidelity, PLAIN, f"plain {one.plain_fidelity:.1%}"),
                            Dot(one.fidelity, 0, f"adapted {one.fidelity:.1%}")])
            for one in report.adapted
        ]
    )  # fmt: skip
    head = ["campaign", "adapted", "plain", "lost by adapting"]
    rows = [
        [one.campaign, f"{one.fidelity:.1%}", f"{one.plain_fidelity:.1%}", f"{one.cost:+.1%}"] for one in report.adapted
    ]
    yield behind("The figures", table(head, rows))


def _honest(report: Report) -> Iterator[str]:
    yield "<h2>Honest clients</h2>"
    yield (
        "<p>Fresh ones, never seen before. What is to be expected follows from the promise and the number of clients "
        "that calibrated it: the Beta-binomial law, in 95 of 100 calibrations.</p>"
    )
    head = ["detector", "promise", "named", "share", "95% interval", "expected", "calibrated on", "named as"]
    yield table(head, [_honest_row(judge) for judge in report.detectors])


def _honest_row(judge: Judge) -> list[str]:
    honest = judge.honest
    low, high = honest.named.interval
    expected = "not known" if honest.expected is None else f"{honest.expected[0]} to {honest.expected[1]}"
    promise = "none" if judge.promise is None else f"{judge.promise:.1%}"
    return [
        judge.name, promise, f"{honest.named.named} of {honest.named.of}", f"{honest.named.share:.1%}",
        f"{low:.1%} to {high:.1%}", expected, "not known" if honest.calibrated is None else f"{honest.calibrated:,}",
        ", ".join(f"{kind} {n}" for kind, n in honest.kinds.items()),
    ]  # fmt: skip


def _foot(report: Report) -> Iterator[str]:
    if report.skipped:
        yield "<h2>Not run</h2>"
        yield table(["campaign", "why"], [[one.campaign, one.why] for one in report.skipped])
    yield "<h2>How it was made</h2>"
    profile = "fitted here" if report.profile is None else report.profile
    rows = [["attacks", report.attacks], ["seed", str(report.seed)], ["profile", profile]]
    rows += [[name, text] for name, text in report.versions.items()] + [["seconds", f"{report.seconds:,.0f}"]]
    yield table(["what", ""], rows)


def _of(one: Attacked, detector: str) -> Against | None:
    return next((against for against in one.against if against.detector == detector), None)


def _attack(one: Attacked) -> str:
    return re.split(r"[+@/]", one.campaign, maxsplit=1)[0]


def _form(one: Attacked) -> str:
    return one.campaign.removeprefix(_attack(one))


def _interval(against: Against) -> str:
    low, high = against.named.interval
    return f"{low:.0%} to {high:.0%}"


def _spread(found: Spread) -> str:
    return "never" if found.median is None else f"{found.median:g} ({found.least:g} to {found.most:g})"


def _percent(found: Spread | None) -> str:
    return "not known" if found is None or found.median is None else f"{found.median:.1%}"
