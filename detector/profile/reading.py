"""How a profile reads what is asked: as numbers, as text, or as rows of its table."""

from __future__ import annotations

from detector.columns import AS_NUMBERS, Reader
from detector.profile.artefact import Profile
from detector.profile.table import Named
from detector.text.reading import reader_of


def reading(profile: Profile | None) -> Reader:
    """Raises MissingExtra where the profile reads text and what that takes is not installed."""
    if profile is None:
        return AS_NUMBERS
    if profile.table is not None:
        return Named(profile.table)
    return reader_of(profile.summary.embedder)
