"""A long evil day for three workers, and what it did to what they found: `python -m bench.chaos`.

Twenty kill -9 of a worker at moments drawn from a seed, a kill -9 and a restart of the broker, a rolling restart, and
somebody who tries to have more partitions, while 200,000 queries come in. What must be left is what `replay` finds of
the same log. The report is docs/bench/chaos.md.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import numpy as np
from elasticsearch import Elasticsearch

from bench.results import BUILD, save, say, table
from bench.speed import digits_profile
from detector.profile import artefact
from detector.redteam import digits_world, simulate
from tests.crash.fleet import Fleet, Left
from tests.crash.stage import Record, Stage, keyed
from tests.crash.test_workers import by_entity, expected
from tests.run.child import total, until
from tests.servers.elasticsearch import elasticsearch_server
from tests.servers.kafka import KafkaServer, kafka_server
from tests.sinks.conftest import load_template

WORKERS = 3
KILLS = 20
BROKER_KILLED, ROLLING, REFUSED, BROKER_RESTARTED = 5, 10, 12, 15  # after so many kills
HONEST = 1_970
ATTACKS = {"jacobian": 8, "line-search": 6, "data-free": 6, "uniform": 4, "foreign@30%": 4, "data-free/4": 2}
BUDGET = 1_000
LEAST_QUERIES, LEAST_CLIENTS = 200_000, 2_000
BURST = 200
PATIENCE_S = 1_800.0
SEED = int(os.environ.get("QUERYWARDEN_CHAOS_SEED", "20260105"))


def main() -> None:
    BUILD.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=BUILD) as name:
        folder = Path(name)
        say("fitting, and making the log")
        artefact.save(digits_profile(), folder / "profile")
        log = made()
        with kafka_server(folder / "kafka") as kafka:
            for elasticsearch in elasticsearch_server(folder / "elasticsearch"):
                with Elasticsearch(elasticsearch.url) as client:
                    load_template(client)
                with Stage(kafka, elasticsearch, folder / "profile", folder, "chaos") as stage:
                    found = endured(stage, kafka, log, folder)
    save("chaos", found, page(found))
    if any(found["wrong"].values()):
        sys.exit("What the workers left is not what replay finds: see docs/bench/chaos.md")


def made() -> list[Record]:
    lines = list(simulate(digits_world(), seed=SEED, honest=HONEST, attackers=ATTACKS, budget=BUDGET).lines())
    log = keyed(lines)
    assert len(log) >= LEAST_QUERIES, f"only {len(log)} queries"
    assert len({record.client for record in log}) >= LEAST_CLIENTS
    return log


def endured(stage: Stage, kafka: KafkaServer, log: Sequence[Record], folder: Path) -> dict[str, Any]:
    fleet = Fleet(stage, WORKERS)
    status, said = fleet.topics()
    assert status == 0, said
    began, load = time.monotonic(), [os.getloadavg()[0]]
    for number in range(WORKERS):
        fleet.start(number)
    day = Day(fleet, kafka, random.Random(SEED))
    day.through(stage, log)
    say("all is written; waiting until all is judged and told")
    fleet.drain(PATIENCE_S)
    took_s = time.monotonic() - began
    load.append(os.getloadavg()[0])
    say("replaying the same log")
    wanted = expected(folder / "profile", list(log), folder)
    left, indexed = fleet.left(), fleet.indexed()
    return {
        "seed": SEED,
        "workers": WORKERS,
        "queries": len(log),
        "clients": sum(kind == "client" for kind, _ in wanted.rows),
        "groups": sum(kind != "client" for kind, _ in wanted.rows),
        "attackers": sum(ATTACKS.values()),
        "kills": KILLS,
        "killed_while_starting": day.starting,
        "broker_restarts": 2,
        "rolling_restarts": 1,
        "refused": day.refused,
        "ended_by_themselves": fleet.ended,
        "took_s": took_s,
        "load": load,
        "opened": opened(fleet),
        "alerts": len(wanted.alerts),
        "held": len(wanted.held),
        "alerted": len(by_entity(wanted.alerts)),
        "wrong": wrong(left, indexed, wanted),
    }


class Day:
    """What happens to a fleet while the log is written, part by part."""

    def __init__(self, fleet: Fleet, kafka: KafkaServer, rng: random.Random) -> None:
        self._fleet, self._kafka, self._rng = fleet, kafka, rng
        self.starting = 0  # kills before the worker had judged anything
        self.refused = ""
        self._after: Mapping[int, Callable[[], None]] = {
            BROKER_KILLED: self._kill_the_broker,
            ROLLING: self._restart_all_in_turn,
            REFUSED: self._ask_for_more_partitions,
            BROKER_RESTARTED: self._restart_the_broker,
        }

    def through(self, stage: Stage, log: Sequence[Record]) -> None:
        parts = [log[k * len(log) // KILLS : (k + 1) * len(log) // KILLS] for k in range(KILLS)]
        for kill, part in enumerate(parts, 1):
            writing = threading.Thread(target=stage.write, args=(part,), kwargs={"burst": BURST}, daemon=True)
            writing.start()
            self._kill(kill)
            if kill in self._after:
                self._after[kill]()
            while writing.is_alive():
                writing.join(1.0)
                self._fleet.supervise()

    def _kill(self, kill: int) -> None:
        """At any moment; each second time a worker that is at work: a slow machine would never come to it otherwise."""
        self._pause(0.5, 6.0)
        victim = self._rng.randrange(WORKERS)
        if kill % 2:
            self._until_at_work(victim)
        at_work = self._at_work(victim)
        self.starting += not at_work
        self._fleet.kill(victim)
        say(f"kill {kill}: worker {victim}, {'at work' if at_work else 'while it started'}")
        self._pause(0.2, 2.0)
        self._fleet.start(victim)

    def _pause(self, least_s: float, most_s: float) -> None:
        threading.Event().wait(self._rng.uniform(least_s, most_s))
        self._fleet.supervise()

    def _at_work(self, number: int) -> bool:
        return total(self._fleet.children[number].metrics(), "querywarden_queries") > 0

    def _until_at_work(self, number: int) -> None:
        def working() -> bool:
            self._fleet.supervise()
            return self._at_work(number)

        until(working, lambda: self._fleet.children[number].tail(), PATIENCE_S)

    def _kill_the_broker(self) -> None:
        say("kill -9 of the broker")
        self._kafka.kill()
        self._kafka.start()

    def _restart_the_broker(self) -> None:
        say("the broker is stopped and started")
        self._kafka.stop()
        self._kafka.start()

    def _restart_all_in_turn(self) -> None:
        say("each worker is stopped and started, one after the other")
        for number in range(WORKERS):
            self._until_at_work(number)
            assert self._fleet.children[number].stop() == 0, self._fleet.children[number].tail()
            self._fleet.start(number)

    def _ask_for_more_partitions(self) -> None:
        config = self._fleet.first.config
        text = config.read_text()
        try:
            config.write_text(text.replace("partitions = 3", "partitions = 6"))
            status, said = self._fleet.topics()
        finally:
            config.write_text(text)
        assert status == 1, said
        self.refused = said.strip().splitlines()[-1]
        say(self.refused)


def opened(fleet: Fleet) -> dict[str, Any]:
    """How often partitions were taken over with clients in them, and the seconds that it took."""
    logged = [line for run in fleet.runs for line in (run.folder / "run.log").read_bytes().splitlines()]
    entries = [msgspec.json.decode(line) for line in logged if line[:1] == b"{" and line[-1:] == b"}"]
    took = [one["took_s"] for one in entries if one.get("message") == "A partition is open" and one["entities"]]
    return {"times": len(took), "median_s": float(np.median(took)), "most_s": max(took)}


def wrong(left: Left, indexed: Counter[str], wanted: Left) -> dict[str, int]:
    """What differs from `replay`, counted; all must be 0."""
    told = Counter(alert.id for alert in left.alerts)
    ids = {alert.id for alert in wanted.alerts}
    ours, theirs = by_entity(left.alerts), by_entity(wanted.alerts)
    held, should = by_entity(left.held), by_entity(wanted.held)
    return {
        "clients and groups with other evidence": sum(left.rows.get(who) != row for who, row in wanted.rows.items()),
        "clients and groups that replay does not know": len(left.rows.keys() - wanted.rows.keys()),
        "cases that differ": sum(left.cases.get(key) != case for key, case in wanted.cases.items()),
        "alerts lost": len(ids - told.keys()),
        "alerts doubled in the topic": sum(times - 1 for times in told.values()),
        "alerts that replay does not know": len(told.keys() - ids),
        "entities whose alerts differ or come in another order": sum(ours.get(who) != of for who, of in theirs.items()),
        "entities of which other alerts were held": len(
            {who for who in held.keys() | should.keys() if held.get(who) != should.get(who)}
        ),
        "alerts lost in the index": len(ids - indexed.keys()),
        "alerts doubled in the index": sum(times - 1 for times in indexed.values()),
    }


def page(found: Mapping[str, Any]) -> str:
    opened = found["opened"]
    return "\n".join(
        [
            "# A long evil day for workers",
            "",
            f"`python -m bench.chaos` (`make chaos`). {found['workers']} workers on a real Kafka and Elasticsearch, "
            f"{found['queries']:,} queries of {found['clients']:,} clients in {found['groups']:,} organisations, "
            f"{found['attackers']} campaigns of attacks among them; seed {found['seed']}. While they are written: "
            f"{found['kills']} kill -9 of a worker at random moments, {found['killed_while_starting']} of them while "
            "it started; a kill -9 and a restart of the broker; a rolling restart of all workers; and "
            "`querywarden topics` with more partitions, which answers:",
            "",
            "```text",
            found["refused"],
            "```",
            "",
            "Then every row, case and alert is compared with `replay` of the same log, which raises "
            f"{found['alerts']:,} alerts on {found['alerted']:,} entities, and holds {found['held']:,} more:",
            "",
            table(["what is wrong", "number"], [(name, f"{value:,}") for name, value in found["wrong"].items()]),
            "",
            f"{found['took_s']:,.0f} s, at a load average of {found['load'][0]:.1f} at the beginning and "
            f"{found['load'][1]:.1f} at the end, on two cores. So often did a worker end by itself, in doubt, and was "
            f"started again, as is meant: {found['ended_by_themselves']}. A partition with somebody in it was opened "
            f"{opened['times']} times, in {opened['median_s']:.1f} s (median) and {opened['most_s']:.1f} s (most).",
        ]
    )


if __name__ == "__main__":
    main()
