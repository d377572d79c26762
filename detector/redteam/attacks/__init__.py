"""The attacks of the range, one file a family: add a line here and it is simulated, tested and measured."""

from __future__ import annotations

from detector.errors import SettingsError, nearest_name
from detector.redteam.attacks import evasion, inversion, membership
from detector.redteam.attacks.active import active_centres, active_foreign, active_natural
from detector.redteam.attacks.art import art_copycat, art_knockoff
from detector.redteam.attacks.contract import Attack
from detector.redteam.attacks.data_free import data_free, zeroth_order
from detector.redteam.attacks.equivalent import equivalent
from detector.redteam.attacks.foreign import photographs, textures
from detector.redteam.attacks.jacobian import jacobian, targeted
from detector.redteam.attacks.knockoff import copycat, knockoff_adaptive
from detector.redteam.attacks.line_search import line_search
from detector.redteam.attacks.natural import blends, harvest
from detector.redteam.attacks.noise import uniform_noise
from detector.redteam.attacks.random_step import random_step

ATTACKS: tuple[Attack, ...] = (
    Attack("uniform", "uniform noise", uniform_noise),
    Attack("data-free", "data-free generator", data_free),
    Attack("dfme", "data-free generator with gradient estimates (DFME)", zeroth_order),
    Attack("foreign", "foreign natural images", photographs, extra="plot", pictures=True),
    Attack("textures", "dead leaves textures", textures, pictures=True),
    Attack("line-search", "Tramèr line search", line_search),
    Attack("jacobian", "Jacobian augmentation", jacobian),
    Attack("jacobian-targeted", "Jacobian steps towards another class", targeted),
    Attack("random-step", "random steps from seeds", random_step),
    Attack("active", "uncertainty-picked foreign images", active_foreign, extra="plot", pictures=True),
    Attack("active-natural", "uncertainty-picked natural images", active_natural),
    Attack("active-centres", "natural images far apart in the copy's answers", active_centres),
    Attack("knockoff-adaptive", "Knockoff Nets with a policy over kinds of pictures", knockoff_adaptive, pictures=True),
    Attack("copycat", "foreign pictures, then changed natural ones (CopycatCNN)", copycat, pictures=True),
    Attack("art-knockoff", "Knockoff Nets, adaptive (ART's)", art_knockoff, extra="redteam", pictures=True),
    Attack("art-copycat", "CopycatCNN (ART's)", art_copycat, extra="redteam", pictures=True),
    Attack("equivalent", "functionally equivalent extraction", equivalent),
    Attack("blends", "blends of natural images", blends),
    Attack("harvest", "in-distribution harvesting", harvest),
    Attack("member-once", "membership by confidence", membership.once, aim="membership", candidates=True),
    Attack("member-noise", "membership by noise", membership.noisy, aim="membership", candidates=True),
    Attack("member-pairs", "membership by neighbours", membership.paired, aim="membership", candidates=True),
    Attack(
        "member-shifts",
        "membership by translations",
        membership.shifted,
        aim="membership",
        candidates=True,
        pictures=True,
    ),
    Attack("invert-evolve", "inversion by evolution strategies", inversion.evolve, aim="inversion"),
    Attack("invert-climb", "inversion by hill climbing", inversion.climb, aim="inversion"),
    Attack("invert-differences", "inversion by finite differences", inversion.differentiate, aim="inversion"),
    Attack("evade-boundary", "boundary walk (HopSkipJump)", evasion.boundary_walk, aim="evasion"),
    Attack("evade-squares", "square attack", evasion.squares, aim="evasion", pictures=True),
    Attack("evade-pixels", "pixel by pixel (SimBA)", evasion.pixels, aim="evasion"),
    Attack("evade-shrink", "noise bisected around one input", evasion.shrink, aim="evasion"),
)


def attack_named(name: str) -> Attack:
    """The attack of that name; `SettingsError` with the nearest right name otherwise."""
    for attack in ATTACKS:
        if attack.name == name:
            return attack
    raise SettingsError(f"no attack is called {name!r}; {nearest_name(name, [a.name for a in ATTACKS])}")
