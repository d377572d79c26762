"""What a client's memory is worth: how much a child of a natural seed tells, for memories of several shapes.

python -m bench.memory
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from bench.results import INK, OURS, QUIET, figure, save, save_plot, say, table
from bench.worlds import mnist_world
from detector.profile import honest, projection
from detector.redteam.attacks import attack_named
from detector.redteam.traffic import Traffic
from detector.redteam.world import World, simulate
from features import spacing

SEED_HONEST, SEED_ATTACK = 101, 102  # the development half
HONEST, CAMPAIGNS = 600, 10
SEEDS, UNTIL = 150, 350  # queries from the first child on
CELLS = np.array([0.0, 0.003, 0.01, 0.03, 0.1, 0.25, 0.5, 0.75, 1.0])  # quantiles of honest distances
# (recent, sample, dimensions, steps of x to a step of the memory); at 64 steps and more a coordinate is one byte. One
# byte more of each point is its label.
SHAPES = (
    (16, 16, 16, 1),
    (32, 32, 16, 1),
    (32, 78, 16, 64),
    (64, 46, 16, 64),
    (64, 80, 12, 64),
    (32, 160, 8, 64),
    (96, 112, 8, 64),
    (128, 128, 16, 64),
    (64, 448, 8, 64),
)
CHOSEN = (spacing.RECENT, spacing.SAMPLE, spacing.KEPT, spacing.COARSE)
ATTACKS = ("jacobian", "random-step")


def main() -> None:
    world = mnist_world("development")
    project = _projection(world)
    say("simulating")
    people = simulate(world, seed=SEED_HONEST, honest=HONEST)
    thieves = simulate(world, seed=SEED_ATTACK, honest=0, attackers=dict.fromkeys(ATTACKS, CAMPAIGNS), budget=UNTIL)
    honest_points, attack_points = _points(people, project), _points(thieves, project)
    found = []
    for shape in SHAPES:
        usual = np.sort(np.concatenate([_distances(x, shape) for x, _ in honest_points if len(x) > SEEDS]))
        told = {name: _told(attack_points, name, shape, usual) for name in ATTACKS}
        found.append({"shape": shape, "bytes": bytes_of(shape), **told})
        say(f"{shape}: {bytes_of(shape)} bytes, " + ", ".join(f"{name} {nats:.2f}" for name, nats in told.items()))
    _draw(found)
    save("memory", {"shapes": found}, _page(found))


def bytes_of(shape: tuple[int, int, int, int]) -> int:
    recent, sample, dims, step = shape
    return (recent + sample) * (dims * (1 if step >= 64 else 2) + 1)


def _projection(world: World) -> projection.Projection:
    inputs, _ = honest.thinned(world.train.pixels, world.train.classes.astype(np.int32), 0)
    return projection.learn(inputs, 0)


def _points(traffic: Traffic, project: projection.Projection) -> list[tuple[NDArray[np.float64], str]]:
    """Each account's projected queries, in order, and what it is."""
    x = project.apply(traffic.inputs.astype(np.float64))[0].astype(np.float64)
    order = np.argsort(traffic.account, kind="stable")
    parts = np.split(x[order], np.cumsum(np.bincount(traffic.account))[:-1])
    return [(part, account.truth) for part, account in zip(parts, traffic.accounts, strict=True)]


def _distances(x: NDArray[np.float64], shape: tuple[int, int, int, int]) -> NDArray[np.float64]:
    return np.asarray(_nearest(x, *shape))[SEEDS:UNTIL]


@numba.njit
def _nearest(x: Any, recent: int, sample: int, dims: int, step: int) -> Any:
    """Distance to the nearest remembered query: a ring of the last, and a uniform sample of those before."""
    np.random.seed(0)
    memory = np.zeros((recent + sample, dims))
    found = np.full(len(x), np.inf)
    for i in range(len(x)):
        for j in range(min(i, recent + sample)):
            apart = 0.0
            for d in range(dims):
                apart += (np.rint(x[i, d] / step) - memory[j, d]) ** 2
            found[i] = min(found[i], step * np.sqrt(apart))
        place, older = i % recent, i - recent
        if older >= 0:
            keep = older if older < sample else np.random.randint(0, older + 1)
            if keep < sample:
                memory[recent + keep] = memory[place]
        for d in range(dims):
            memory[place, d] = np.rint(x[i, d] / step)
    return found


def _told(points: list[Any], name: str, shape: tuple[int, int, int, int], usual: NDArray[np.float64]) -> float:
    """Nats a child tells on average: Kullback-Leibler of its cell among the honest quantiles against the honest law."""
    mine = np.concatenate([_distances(x, shape) for x, truth in points if truth == name])
    places = (np.searchsorted(usual, mine) + 0.5) / (len(usual) + 1)
    shares = np.histogram(places, CELLS)[0] / len(places)
    held = shares > 0
    return float((shares[held] * np.log(shares[held] / np.diff(CELLS)[held])).sum())


def _page(found: list[dict[str, Any]]) -> str:
    rows = [
        (
            f"{r} recent + {s} sampled, {d} dimensions of {1 if step >= 64 else 2} byte{'' if step >= 64 else 's'}"
            f"{' (chosen)' if (r, s, d, step) == CHOSEN else ''}",
            f"{f['bytes']:,}",
            *(f"{f[name]:.2f}" for name in ATTACKS),
        )
        for f in found
        for r, s, d, step in [f["shape"]]
    ]
    return f"""# What a client's memory is worth

`python -m bench.memory`. Augmentation after {SEEDS} natural seeds, MNIST, development half: how much the distance to
the nearest remembered query tells of a child, in nats a query, queries {SEEDS + 1} to {UNTIL}.

{table(["memory", "bytes", "Jacobian augmentation", "random steps"], rows)}

![Nats a query by bytes of memory](memory.png)
"""


def _draw(found: list[dict[str, Any]]) -> None:
    drawn, axis = figure(7, 4)
    place = np.arange(len(found))
    for name, color, shift in zip(ATTACKS, (OURS, QUIET), (-0.2, 0.2), strict=True):
        axis.barh(place + shift, [f[name] for f in found], 0.38, color=color, label=attack_named(name).title)
    names = [f"{r} + {s} points x {d}: {f['bytes']:,} bytes" for f in found for r, s, d, _ in [f["shape"]]]
    axis.set_yticks(
        place, [f"{name} *" if f["shape"] == CHOSEN else name for name, f in zip(names, found, strict=True)]
    )
    axis.invert_yaxis()
    axis.set_xlabel("nats a query (* chosen)")
    axis.legend(frameon=False, labelcolor=INK)
    save_plot("memory", drawn)


if __name__ == "__main__":
    main()
