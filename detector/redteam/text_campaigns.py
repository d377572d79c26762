"""Campaigns against a language model: which sweep, in which manner, how much of it hidden, over how many accounts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from detector.errors import SettingsError, nearest_name
from detector.redteam.campaign import read_form
from detector.redteam.campaigns import HIDDEN, PURE, SPLIT
from detector.redteam.exchanges import Exchange, Said
from detector.redteam.sweeps import SWEEPS, TEXT_MANNERS, Sweep, TextManner, hidden
from detector.redteam.traffic import Account

GAP_S = 60.0  # between two prompts, on average; honest clients of a log keep their own
COVERED = 24  # honest clients whose prompts a hidden sweep is mixed into

GROUPS: dict[str, tuple[str, ...]] = {
    "pure": PURE,
    "hidden": HIDDEN,
    "split": SPLIT,
    "adaptive": tuple(f"+{manner.name}" for manner in TEXT_MANNERS),
}
GROUPS["all"] = tuple(form for forms in GROUPS.values() for form in forms)

Asked = dict[Account, list[Said]]


@dataclass(frozen=True)
class TextCampaign:
    sweep: Sweep
    manners: tuple[TextManner, ...]
    share: float
    accounts: int

    @property
    def embeds(self) -> bool:
        """It needs the extra `text`."""
        return self.sweep.embeds or any(manner.embeds for manner in self.manners)

    @property
    def title(self) -> str:
        parts = [self.sweep.title, *(manner.title for manner in self.manners)]
        parts += [f"{self.share:.0%} hidden in honest traffic"] if self.share < 1 else []
        parts += [f"over {self.accounts} accounts"] if self.accounts > 1 else []
        return ", ".join(parts)


def read_text_campaign(text: str) -> TextCampaign:
    """`sweep[+manner...][@percent%][/accounts]`. Raises SettingsError with the nearest right name.

    >>> read_text_campaign("topic+casual@30%/10").title
    'one topic, rewritten casually, 30% hidden in honest traffic, over 10 accounts'
    """
    form = read_form(text)
    sweeps, manners = {one.name: one for one in SWEEPS}, {one.name: one for one in TEXT_MANNERS}
    for kind, known, names in (("sweep", sweeps, (form.name,)), ("manner", manners, form.manners)):
        for name in names:
            if name not in known:
                raise SettingsError(f"no {kind} is called {name!r}; {nearest_name(name, known)}")
    return TextCampaign(sweeps[form.name], tuple(manners[name] for name in form.manners), form.share, form.accounts)


def text_campaigns(text: str) -> list[str]:
    """What `--attacks` means for text: `all`, `pure`, `hidden`, `split`, `adaptive`, or campaigns."""
    asked: list[str] = []
    for part in (part.strip() for part in text.split(",")):
        asked += [sweep.name + form for form in GROUPS[part] for sweep in SWEEPS] if part in GROUPS else [part]
    return list(dict.fromkeys(asked))


def swept(
    text: str, number: int, pool: Sequence[Exchange], honest: Mapping[str, Sequence[Said]], *, seed: int, budget: int
) -> Asked:
    """The accounts of one campaign, at most `budget` prompts in all. A hidden one asks that share of them, in the
    traffic of honest clients; it is shorter where those have too little to say.
    """
    campaign = read_text_campaign(text)
    rng = np.random.default_rng([seed, int.from_bytes(text.encode(), "little"), number])
    own = campaign.sweep.make(pool, rng, max(round(campaign.share * budget), 1))
    for manner in campaign.manners:
        own = manner.rewrite(own, rng)
    clients = list(honest)
    some = [clients[i] for i in rng.permutation(len(clients))[:COVERED]] if campaign.share < 1 else []
    asked = hidden(own, [said.exchange for client in some for said in honest[client]], campaign.share, rng)[:budget]
    began = min((said[0].at for said in honest.values()), default=0)
    ended = max((said[-1].at for said in honest.values()), default=began)
    found: Asked = {}
    for k in range(min(campaign.accounts, len(asked))):
        at = float(rng.uniform(began, max(ended, began + 1)))
        said = []
        for one in asked[k :: campaign.accounts]:
            said.append(Said(int(at), one))
            at += 1e6 * rng.exponential(GAP_S)
        ring = f"{text}#{number}" if campaign.accounts > 1 else None
        found[Account(_name(seed, text, number, k), "", text, ring)] = said
    return found


def _name(*of: object) -> str:
    return f"c-{hashlib.blake2b(repr(of).encode(), digest_size=4).hexdigest()}"
