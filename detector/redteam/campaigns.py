"""Lists of campaigns: what `--attacks all` means, and how a list is written."""

from __future__ import annotations

import importlib.util
from typing import NamedTuple

from detector.redteam.attacks import ATTACKS
from detector.redteam.campaign import Campaign, read_campaign
from detector.redteam.manners import SLOW

PURE = ("",)
HIDDEN = ("@30%", "@10%", "@3%")
SPLIT = ("/10", "/50", "/200")
ADAPTIVE = ("+filtered", "+spaced", "+sorted", "+narrow", "+filtered+spaced+narrow", "+narrow/50")
SLOWLY = (f"+{SLOW}", f"+{SLOW}@10%", f"+{SLOW}@3%")

GROUPS: dict[str, tuple[str, ...]] = {
    "pure": PURE,
    "hidden": HIDDEN,
    "split": SPLIT,
    "adaptive": ADAPTIVE,
    SLOW: SLOWLY,
    "all": PURE + HIDDEN + SPLIT + ADAPTIVE + SLOWLY,
}
PACKAGES = {"plot": "PIL", "redteam": "art"}  # extra -> the package that an attack needs of it


class Skipped(NamedTuple):
    campaign: str
    why: str


def campaigns(text: str, *, picture: bool) -> tuple[list[str], list[Skipped]]:
    """`all`, `pure`, `hidden`, `split`, `adaptive`, `slow`, or campaigns with commas between: each once, in order.

    Beside each adapted campaign stands the plain one, for what adapting costs. Those that
    cannot be run on such a victim are said with the reason. Raises SettingsError for what is no campaign.
    """
    asked: list[str] = []
    for part in (part.strip() for part in text.split(",")):
        asked += [attack.name + form for form in GROUPS[part] for attack in ATTACKS] if part in GROUPS else [part]
    wanted: list[str] = []
    for one in asked:
        plain = plain_of(one)
        wanted += [plain, one] if read_campaign(one).adapted else [one]
    kept, skipped = [], []
    for one in dict.fromkeys(wanted):
        why = _unfit(read_campaign(one), picture)
        if why:
            skipped.append(Skipped(one, why))
        else:
            kept.append(one)
    return kept, skipped


def plain_of(text: str) -> str:
    """The same campaign in no manner: "jacobian+slow@10%" -> "jacobian@10%"."""
    name, plus, rest = text.partition("+")
    cut = min((rest.find(mark) for mark in "@/" if mark in rest), default=len(rest))
    return name + rest[cut:] if plus else text


def title(text: str) -> str:
    """For people: "Jacobian augmentation, slowly, 10% hidden in honest traffic"."""
    campaign = read_campaign(text)
    parts = [campaign.attack.title, *(manner.title for manner in campaign.manners)]
    if campaign.share < 1:
        parts.append(f"{campaign.share:.0%} hidden in honest traffic")
    if campaign.accounts > 1:
        parts.append(f"over {campaign.accounts} accounts")
    return ", ".join(parts)


def _unfit(campaign: Campaign, picture: bool) -> str:
    package = PACKAGES.get(campaign.attack.extra or "")
    if campaign.attack.pictures and not picture:
        return "it asks pictures, and this victim reads none"
    if package and importlib.util.find_spec(package) is None:
        return f"it needs the extra [{campaign.attack.extra}]"
    return ""
