"""The range: honest clients and extraction attacks against a victim, simulated from a seed as `native` log lines."""

from __future__ import annotations

from detector.redteam.attacks import ATTACKS, attack_named
from detector.redteam.campaign import Campaign, read_campaign
from detector.redteam.honest import Images
from detector.redteam.traffic import Account, Traffic
from detector.redteam.victim import Victim, train_victim
from detector.redteam.world import World, digits_world, simulate

__all__ = [
    "ATTACKS",
    "Account",
    "Campaign",
    "Images",
    "Traffic",
    "Victim",
    "World",
    "attack_named",
    "digits_world",
    "read_campaign",
    "simulate",
    "train_victim",
]
