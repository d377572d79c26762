"""How an attack is run: pure, hidden in honest traffic, or dealt out over many accounts; and how that is written."""

from __future__ import annotations

import re
from dataclasses import dataclass

from detector.errors import SettingsError
from detector.redteam.attacks import attack_named
from detector.redteam.attacks.contract import Attack

_FORM = re.compile(r"(?P<attack>[a-z-]+)(@(?P<percent>\d+)%)?(/(?P<accounts>\d+))?")


@dataclass(frozen=True)
class Campaign:
    """`share` of the queries are the attack's; `accounts` take turns in asking them."""

    attack: Attack
    share: float = 1.0
    accounts: int = 1


def read_campaign(text: str) -> Campaign:
    """`attack[@percent%][/accounts]`, for instance "jacobian", "line-search@10%" or "data-free@30%/50".

    >>> read_campaign("line-search@10%/20").accounts
    20
    """
    form = _FORM.fullmatch(text)
    if form is None:
        raise SettingsError(f"cannot read the campaign {text!r}: write attack[@percent%][/accounts]")
    share, accounts = int(form["percent"] or 100) / 100, int(form["accounts"] or 1)
    if not 0 < share <= 1 or accounts < 1:
        raise SettingsError(f"campaign {text!r}: the percentage is 1 to 100 and there is at least one account")
    return Campaign(attack_named(form["attack"]), share, accounts)
