"""Compiles what a fit and a run need, while one core has nothing else to do: `python -m tests.kernels`.

Workers that begin together would each compile the same kernels. Here numbers with rings and text with its sequence
model are learned and judged once; what is compiled stays in the cache (detector/__init__.py).
"""

from __future__ import annotations

from detector.logs.native import decode_many
from detector.profile import fit
from detector.query import Chunk
from tests import people, test_text
from tests.conftest import fitted
from tests.driving import drive, pipeline

CLIENTS = 220


def main() -> None:
    log = people.log_of(people.honest(11, CLIENTS, days=6.0, life=2.0, volume=18))
    drive(pipeline(fitted(log, rings=True)), people.chunks(log))
    text: Chunk = test_text.chunk(*(test_text.person(i) for i in range(CLIENTS)))
    of_text = fit.fit(lambda: iter([text]), decode_many, None, test_text.OPTIONS, lambda said: None)
    drive(pipeline(of_text), [text])


if __name__ == "__main__":
    main()
