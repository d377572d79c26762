"""What a request is answered with: the rooms behind HTTP, made once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from litestar.di import NamedDependency
from sqlalchemy import Engine

from detector.dashboard.access.entrance import Entrance
from detector.dashboard.access.pace import Pace
from detector.dashboard.access.provider import Provider
from detector.dashboard.books import Books
from detector.dashboard.drafting import Drafting
from detector.dashboard.keeping.audit import Chain
from detector.dashboard.telling import Telling
from detector.dashboard_settings import DashboardSettings


@dataclass(frozen=True)
class House:
    """reading: the same database as `engine`, for transactions that only read. origins: of which pages may change
    something (`https://watch.example`). hosts: names by which we may be called. secure: whether cookies are for https
    alone. now: wall clock in seconds.
    """

    settings: DashboardSettings
    books: Books
    engine: Engine
    reading: Engine
    entrance: Entrance
    drafting: Drafting
    telling: Telling
    chain: Chain
    pace: Pace
    provider: Provider | None
    now: Callable[[], float]
    origins: frozenset[str]
    hosts: frozenset[str]
    secure: bool


FromHouse: TypeAlias = NamedDependency[House]
