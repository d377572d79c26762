"""What `querywarden range` says on the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from detector.redteam.outcome import Report


def told(report: Report) -> Iterator[str]:
    """The table on the terminal: for each campaign and detector the share named, when, and what that saved."""
    wide = max([len(one.campaign) for one in report.campaigns] + [8])
    clones = f"{'fidelity then / in the end':>30}" if report.victim.width else ""
    yield f"{'campaign':<{wide}}  {'detector':<12}{'named':>14}{'queries':>18}{clones}"
    for one in report.campaigns:
        for row in one.against:
            count = f"{row.named.named} of {row.named.of}"
            when = "-" if not row.each else f"{row.queries.median:g} ({row.queries.least:g}-{row.queries.most:g})"
            then, end = row.copy.fidelity.median, one.end.fidelity.median
            copy = "" if then is None or end is None else f"{f'{then:.0%} / {end:.0%}':>30}"
            yield f"{one.campaign:<{wide}}  {row.detector:<12}{count:>14}{when:>18}{copy}"
    for judge in report.detectors:
        named, expected = judge.honest.named, judge.honest.expected
        law = f"; {expected[0]} to {expected[1]} are expected" if expected else ""
        yield f"{'honest':<{wide}}  {judge.name:<12}{f'{named.named} of {named.of}':>14}  {named.share:.1%}{law}"
    for skipped in report.skipped:
        yield f"{skipped.campaign} was not run: {skipped.why}"
