"""MMD's own task: windows of 100 prompts, some of them of a sweep. What it finds of them, and what we do.

python -m bench.windows [--quick]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench import text
from bench.conversations import DEVELOPMENT, FIT, PACKAGE, REPORT, installed, people
from bench.detect import Found, first_alerts
from bench.results import BUILD, save, say, table
from bench.sweeps import SWEEPS
from detector.redteam.detectors import Asked as Client
from detector.redteam.detectors.mmd import Mmd
from detector.redteam.exchanges import Exchange
from detector.redteam.sweeps import embedded

WINDOW = 100
SHARES = (0.1, 0.25, 0.5)
PROMISES = (0.01, 0.05, 0.1)  # of honest windows that MMD may call attacks
EACH = 20  # windows of a kind and share
SEED_MMD, SEED_SETS = 31, {DEVELOPMENT: 200, REPORT: 950}
OURS = "querywarden"
Windows = Mapping[str, Sequence[Exchange]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a trial on the development part that saves nothing")
    quick = parser.parse_args().quick
    if not installed():
        say(f"skipped: the package {PACKAGE} is not installed, and it holds the conversations")
        return
    began = time.monotonic()
    part = DEVELOPMENT if quick else REPORT
    folder = BUILD / "windows"
    folder.mkdir(parents=True, exist_ok=True)
    profile = text.fitted(folder)
    say("making windows")
    windows = made(part)
    rng = np.random.default_rng(SEED_SETS[part])
    text.write(folder / "windows.jsonl", {name: text.timed([own], rng) for name, own in windows.items()})
    say("judging them")
    firsts = first_alerts(text.replayed(profile, folder / "windows.jsonl"))
    named = {OURS: set(firsts)} | by_mmd(windows)
    found = summary(windows, named, profile.level("client").calibrated, time.monotonic() - began)
    if quick:
        print(page(found))
        return
    save("windows", found, page(found))


def made(part: tuple[int, int]) -> dict[str, list[Exchange]]:
    """WINDOW prompts by name, `KIND@SHARE/NUMBER`: of honest clients in their order, and the same with a share of them
    replaced, at random places, by prompts of a sweep that is made of other people's.
    """
    seed = SEED_SETS[part]
    honest = _windows(part, seed)
    pool = [one for own in honest for one in own]
    found = {f"honest/{i}": own for i, own in enumerate(honest)}
    kinds = [(name, sweep) for name, sweep in SWEEPS.items() if sweep.share == 1.0]
    for place, (name, sweep) in enumerate(kinds):
        for share in SHARES:
            for i in range(EACH):
                rng = np.random.default_rng([seed, place, round(100 * share), i])
                own, count = list(honest[rng.integers(len(honest))]), round(share * WINDOW)
                places = np.sort(rng.choice(WINDOW, count, replace=False))
                for at, one in zip(places, sweep.make(pool, rng), strict=False):
                    own[at] = one
                found[f"{name}@{share}/{i}"] = own
    return found


def _windows(part: tuple[int, int], seed: int) -> list[list[Exchange]]:
    """The first WINDOW prompts of clients that ask so many."""
    each = ([one for own in client for one in own] for client in people(part, seed, WINDOW, WINDOW))
    return [own[:WINDOW] for own in each if len(own) >= WINDOW]


def by_mmd(windows: Windows) -> dict[str, set[str]]:
    """Whom MMD names at each promise, calibrated on windows of the clients that the profile was fitted on."""
    teachers = [_client(own) for own in _windows(FIT, SEED_MMD)]
    asked = {name: _client(own) for name, own in windows.items()}
    found = {}
    for promise in PROMISES:
        detector = Mmd(WINDOW)
        detector.fit(teachers, promise)
        found[f"MMD at {promise:.0%}"] = {n for n, own in asked.items() if detector.first_alarm(own) is not None}
    return found


def _client(own: Sequence[Exchange]) -> Client:
    nothing = np.zeros(len(own), np.int64)
    return Client(embedded([one.asked for one in own]), nothing, None, nothing)


def summary(windows: Windows, named: Mapping[str, set[str]], calibrated: int, seconds: float) -> dict[str, Any]:
    found: dict[str, dict[str, Any]] = {}
    for kind in dict.fromkeys(name.partition("/")[0] for name in windows):
        of = [name for name in windows if name.startswith(f"{kind}/")]
        found[kind] = {who: Found(len(of), [WINDOW] * len(seen & set(of))).row() for who, seen in named.items()}
    shares = {}
    for share in SHARES:
        of = [name for name in windows if f"@{share}/" in name]
        shares[str(share)] = {w: Found(len(of), [WINDOW] * len(seen & set(of))).row() for w, seen in named.items()}
    return {
        "calibrated": calibrated,
        "teachers": len(_windows(FIT, SEED_MMD)),
        "promise": text.PROMISE,
        "kinds": found,
        "shares": shares,
        "seconds": seconds,
    }


def page(found: Mapping[str, Any]) -> str:
    whom = list(found["kinds"]["honest"])
    titles = {name: sweep.title for name, sweep in SWEEPS.items()}
    head = [["honest windows, of clients never seen", *(_cell(found["kinds"]["honest"][who]) for who in whom)]]
    head += [
        [f"{float(share):.0%} of the window is of a sweep", *(_cell(of[who]) for who in whom)]
        for share, of in found["shares"].items()
    ]
    rows = [
        [f"{titles[kind.partition('@')[0]]}, {float(kind.partition('@')[2]):.0%}", *(_cell(of[who]) for who in whom)]
        for kind, of in found["kinds"].items()
        if kind != "honest"
    ]
    lines = [
        "# Windows of a hundred prompts",
        "",
        f"`python -m bench.windows`. MMD (Gretton et al. 2012; in windows of {WINDOW} prompts as Liu, Guo & Dong 2026) "
        "judges one window at a time. So here a client is one window: prompts of a person in their order, of which a "
        f"share is replaced by a sweep. querywarden promises {found['promise']:.0%} of honest clients, "
        f"{found['calibrated']} of whom calibrate; MMD learns from {found['teachers']} honest windows of the same "
        "conversations, and its threshold is set by half of them for three promises. Named, with the 95% interval:",
        "",
        table(["windows", *whom], head),
        "",
        "A window of one person is about that person's matters, so honest windows are as far from the whole of honest "
        "prompts as most sweeps are: that is what MMD measures. Where windows are drawn over all clients it sees "
        "more, and judges no client. By kind of sweep:",
        "",
        table(["windows", *whom], rows),
    ]
    return "\n".join(lines)


def _cell(row: Mapping[str, Any]) -> str:
    low, high = row["interval"]
    return f"{row['share']:.1%} of {row['accounts']} [{low:.0%}, {high:.0%}]"


if __name__ == "__main__":
    main()
