"""What a fuzzer that watches coverage does to the log formats: nothing is raised, and the contract holds.

    python -m tests.fuzz.decoder build/corpus -max_total_time=600

Needs atheris, which `make fuzz` puts into build/. The corpus begins with the examples of the documents, and what the
fuzzer finds new joins it. Arguments after the folder go to libFuzzer.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["detector.logs"]):
    from detector.logs import DECODERS
    from detector.logs.contract import REASONS
    from detector.logs.schema import log_examples

ROOT = Path(__file__).parent.parent.parent
BLOCK = re.compile(r"^```json log\n(.*?)^```", re.MULTILINE | re.DOTALL)
TOKENS = ("at", "input", "inputs", "client", "model", "id", "groups", "output", "outputs", "label", "probabilities")
MORE_TOKENS = (
    "text",
    "model_version",
    "status",
    "error",
    "cached",
    "null",
    "1e999",
    "NaN",
    "\\ud800",
    "embedding",
    "role",
    "content",
    "user",
    "assistant",
    "[[",
    "]]",
    "{}",
)


def main(corpus: Path, arguments: list[str]) -> None:
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()):
        (corpus / f"seed-{number:03d}").write_bytes(seed)
    tokens = corpus.parent / "tokens.dict"
    tokens.write_text("".join(f"{json.dumps(token)}\n" for token in TOKENS) + "".join(map(_escaped, MORE_TOKENS)))
    atheris.Setup([sys.argv[0], str(corpus), f"-dict={tokens}", *arguments], check)
    atheris.Fuzz()


def _escaped(token: str) -> str:
    return '"' + token.replace("\\", "\\\\") + '"\n'


def seeds() -> list[bytes]:
    """The records of the documents and of the schema, each alone, and all of them as one log."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    shown = [json.loads(block) for page in pages for block in BLOCK.findall(page.read_text(encoding="utf-8"))]
    records = [json.dumps(record).encode() for record in (*shown, *log_examples())]
    return [*records, b"\n".join(records)]


def check(data: bytes) -> None:
    """One log of a record a line, through each format. Raises AssertionError when the contract is broken."""
    payloads = data.split(b"\n")
    for decode in DECODERS.values():
        queries, sources, refused = decode(payloads)
        refused_at = [index for index, _ in refused]
        assert len(queries) == len(sources)
        assert sources == sorted(sources)
        assert refused_at == sorted(set(refused_at))
        assert {*sources, *refused_at} <= set(range(len(payloads)))
        assert {error.reason for _, error in refused} <= set(REASONS)
        alone = [decode([payload]) for payload in payloads]
        assert queries == [query for found, _, _ in alone for query in found]
        assert [(e.reason, e.client, str(e)) for _, e in refused] == [
            (e.reason, e.client, str(e)) for _, _, errors in alone for _, e in errors
        ]


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
