"""The report for a browser."""

from __future__ import annotations

from detector.redteam.outcome import Report


def page(report: Report) -> str:
    return f"<!doctype html><title>querywarden range</title><pre>{len(report.campaigns)}</pre>"
