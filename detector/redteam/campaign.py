"""How an attack is run: pure, adapted, hidden in honest traffic, over many accounts; and how that is written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from detector.errors import SettingsError
from detector.redteam.attacks import attack_named
from detector.redteam.attacks.contract import Attack, Run
from detector.redteam.manners import SLOW, Manner, manner_named

_FORM = re.compile(r"(?P<name>[a-z-]+)(?P<manners>(\+[a-z]+)*)(@(?P<percent>\d+)%)?(/(?P<accounts>\d+))?")


class Form(NamedTuple):
    """A campaign as it is written: what is asked, in which manners, which share of queries, over how many accounts."""

    name: str
    manners: tuple[str, ...]
    share: float
    accounts: int


@dataclass(frozen=True)
class Campaign:
    """`share` of the queries are the attack's; `accounts` take turns in asking them, in such `manners`."""

    attack: Attack
    share: float = 1.0
    accounts: int = 1
    manners: tuple[Manner, ...] = ()

    @property
    def slow(self) -> bool:
        """Spread over the whole span of the log."""
        return any(manner.name == SLOW for manner in self.manners)

    @property
    def adapted(self) -> bool:
        """Other queries than those of the plain attack, or in another order."""
        return any(manner.name != SLOW for manner in self.manners)

    @property
    def run(self) -> Run:
        """The attack in its manners, the first one next to it; neither hidden nor dealt out yet."""
        run = self.attack.run
        for manner in self.manners:
            run = manner.adapt(run)
        return run


def read_campaign(text: str) -> Campaign:
    """`attack[+manner...][@percent%][/accounts]`, such as "jacobian", "line-search@10%" or "data-free+slow@30%/50".

    >>> read_campaign("line-search@10%/20").accounts
    20
    """
    form = read_form(text)
    return Campaign(attack_named(form.name), form.share, form.accounts, tuple(map(manner_named, form.manners)))


def read_form(text: str) -> Form:
    """`name[+manner...][@percent%][/accounts]`, whatever the names mean. Raises SettingsError for anything else.

    >>> read_form("topic+casual@30%/10")
    Form(name='topic', manners=('casual',), share=0.3, accounts=10)
    """
    form = _FORM.fullmatch(text)
    if form is None:
        raise SettingsError(f"cannot read the campaign {text!r}: write name[+manner][@percent%][/accounts]")
    share, accounts = int(form["percent"] or 100) / 100, int(form["accounts"] or 1)
    if not 0 < share <= 1 or accounts < 1:
        raise SettingsError(f"campaign {text!r}: the percentage is 1 to 100 and there is at least one account")
    return Form(form["name"], tuple(form["manners"].split("+")[1:]), share, accounts)
