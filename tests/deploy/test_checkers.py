"""What others say of deploy/: Helm and its linter, the Kubernetes schemas, Docker Compose, hadolint, systemd."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.deploy import tools
from tests.deploy.reading import COMPOSE, DEPLOY, MANIFESTS, UNITS, documents
from tests.servers.fetched import ServerUnavailable

pytestmark = pytest.mark.server

SYSTEMD_EXPOSURE = 20  # of 100: what systemd itself calls OK
FULL: dict[str, Any] = {
    "autoscaling": {"enabled": True},
    "serviceMonitor": {"enabled": True},
    "storage": {"class": "fast"},
    "nodeSelector": {"pool": "detect"},
    "imagePullSecrets": [{"name": "registry"}],
}
VARIANTS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "keda": FULL,
    "cpu": {**FULL, "autoscaling": {"enabled": True, "kind": "cpu"}},
    "closed": {"network": {"metricsFrom": []}, "secrets": []},
    "shown": {"network": {"metricsFrom": []}, "dashboard": {"from": [{"podSelector": {}}]}},
    "hidden": {"dashboard": {"enabled": False}},
    "bare": {"network": {"enabled": False}, "topics": {"enabled": False}},
}
OF_OTHERS = {"ScaledObject", "ServiceMonitor"}  # kinds that KEDA and Prometheus's operator bring


@pytest.fixture(scope="module", autouse=True)
def there() -> None:
    try:
        tools.folder()
    except ServerUnavailable as error:
        pytest.skip(f"the checkers are not made for this machine: {error}")


@pytest.mark.parametrize("name", VARIANTS)
def test_helm_renders_the_chart_and_its_linter_finds_nothing(name: str) -> None:
    found = tools.helm(VARIANTS[name])
    assert "error" not in found["rendered"], found["rendered"]
    assert found["lint"]["errors"] == []
    assert [one for one in found["lint"]["messages"] if one["severity"] > 1] == []  # one says that an icon is usual


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("version", tools.KUBERNETES)
def test_kubernetes_knows_every_field(name: str, version: str, tmp_path: Path) -> None:
    rendered = tools.manifests(VARIANTS[name])
    kinds = {document["kind"] for document in documents(rendered)}
    parts = [
        part for part in rendered.split("\n---\n") if not any(f"\nkind: {kind}\n" in f"\n{part}" for kind in OF_OTHERS)
    ]
    assert len(parts) == len(documents(rendered)) - len(kinds & OF_OTHERS)
    (tmp_path / "all.yaml").write_text("\n---\n".join(parts))
    status, said = tools.called("kubernetes-validate", "--strict", "-k", version, tmp_path / "all.yaml")
    assert status == 0, said


def test_the_manifests_are_the_charts() -> None:
    assert MANIFESTS.read_text() == tools.manifests({}), "run: make manifests"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"workers": 13}, "no more than cluster.partitions"),
        ({"autoscaling": {"enabled": True, "most": 13}}, "no more than cluster.partitions"),
        ({"worker": 3}, "worker"),
    ],
    ids=str,
)
def test_helm_refuses_values_that_cannot_be_meant(values: dict[str, Any], said: str) -> None:
    assert said in tools.helm(values)["rendered"]["error"]


@pytest.mark.parametrize("profile", [(), ("--profile", "dashboard")], ids=["all", "dashboard"])
def test_docker_compose_takes_its_file(profile: tuple[str, ...]) -> None:
    status, said = tools.called("docker-compose", "-f", COMPOSE, *profile, "config", "--quiet")
    assert (status, said) == (0, "")


def test_hadolint_finds_nothing() -> None:
    assert tools.called("hadolint", DEPLOY / "Dockerfile") == (0, "")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on PATH")
@pytest.mark.parametrize("name", ["querywarden-worker@.service", "querywarden.service"])
def test_systemd_takes_the_units(name: str, tmp_path: Path) -> None:
    """`verify` looks for the program, so one that is there stands in for ours."""
    text = (UNITS / name).read_text().replace("/opt/querywarden/bin/querywarden", "/bin/true")
    (tmp_path / name).write_text(text)
    command = ["systemd-analyze", "verify", str(tmp_path / name.replace("@.", "@9471."))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on PATH")
def test_a_worker_may_do_little() -> None:
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={SYSTEMD_EXPOSURE}"]
    done = subprocess.run([*command, str(UNITS / "querywarden-worker@.service")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-500:]
