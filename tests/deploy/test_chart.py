"""The chart as it is rendered with its defaults (deploy/kubernetes): what a cluster is given keeps these promises."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest
import yaml

from detector.cli import _parser
from detector.cluster import stages
from detector.errors import SettingsError
from detector.profile.artefact import Profile
from detector.secret import Secret
from detector.settings import Settings
from tests.deploy.probing import status
from tests.deploy.reading import CHART, MANIFESTS, documents, of_kind, read

FOUND = documents(MANIFESTS.read_text())
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
SETS = {one["metadata"]["name"]: one["spec"] for one in FOUND if one["kind"] == "StatefulSet"}
WORKERS, SHOWN = SETS["querywarden"], SETS["querywarden-dashboard"]
PODS = [WORKERS["template"], SHOWN["template"], of_kind("Job", FOUND)["spec"]["template"]]
CONTAINERS = [container for pod in PODS for container in pod["spec"]["containers"]]
WORKER = WORKERS["template"]["spec"]["containers"][0]
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def settings() -> Settings:
    return read(of_kind("ConfigMap", FOUND)["data"]["querywarden.toml"])


def test_workers_take_its_settings(profile: Profile) -> None:
    source, _ = stages.check(settings(), profile)
    assert list(source.brokers) == VALUES["kafka"]["brokers"]
    assert settings().cluster.partitions >= VALUES["workers"]


def test_every_secret_that_the_settings_name_is_given_by_reference() -> None:
    named = {
        value.env
        for sink in settings().sinks
        for value in (getattr(sink, field) for field in sink.__struct_fields__)
        if isinstance(value, Secret)
    }
    for container in CONTAINERS:
        given = {one["name"]: one for one in container["env"]}
        assert named <= given.keys()
        assert all("secretKeyRef" in one["valueFrom"] and "value" not in one for one in given.values())
    assert not [document for document in FOUND if document["kind"] == "Secret"]


def test_nobody_has_rights() -> None:
    for pod in PODS:
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] >= 10_000
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
    for container in CONTAINERS:
        context = container["securityContext"]
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert (context["allowPrivilegeEscalation"], context["readOnlyRootFilesystem"]) == (False, True)
        assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("probe", PROBES)
def test_probes_ask_what_the_port_answers(probe: str) -> None:
    asked = WORKER[probe]["httpGet"]
    assert status(asked["path"]) == 200
    ports = {port["name"]: port["containerPort"] for port in WORKER["ports"]}
    assert ports[asked["port"]] == settings().telemetry.port


def test_a_worker_has_a_folder_of_its_own_that_outlives_it() -> None:
    (claim,) = WORKERS["volumeClaimTemplates"]
    mounts = {mount["name"]: mount["mountPath"] for mount in WORKER["volumeMounts"]}
    assert mounts[claim["metadata"]["name"]] == "/var/lib/querywarden"
    assert WORKERS["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    assert WORKERS["template"]["spec"]["terminationGracePeriodSeconds"] > settings().delivery.drain_s


def test_one_dashboard_has_a_folder_of_its_own_and_is_no_worker() -> None:
    assert SHOWN["replicas"] == 1
    (claim,) = SHOWN["volumeClaimTemplates"]
    (container,) = SHOWN["template"]["spec"]["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts[claim["metadata"]["name"]] == "/var/lib/querywarden"
    labels = SHOWN["template"]["metadata"]["labels"].items()
    assert SHOWN["selector"]["matchLabels"].items() <= labels
    assert not WORKERS["selector"]["matchLabels"].items() <= labels
    ports = [port["containerPort"] for port in container["ports"]]
    assert ports == [settings().dashboard.port]
    asked = container["livenessProbe"]["exec"]["command"][-1]
    assert f"http://{settings().dashboard.host}:{settings().dashboard.port}/api/v1/ways" in asked
    assert settings().of_workers


def test_containers_start_commands_that_there_are() -> None:
    for container in CONTAINERS:
        assert _parser().parse_args(container["args"]).command


def test_one_worker_at_a_time_is_taken_away() -> None:
    budget = of_kind("PodDisruptionBudget", FOUND)["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["selector"] == WORKERS["selector"]
    assert WORKERS["selector"]["matchLabels"].items() <= WORKERS["template"]["metadata"]["labels"].items()


def test_the_network_lets_in_who_reads_metrics_and_lets_out_to_what_the_settings_name() -> None:
    policy = of_kind("NetworkPolicy", FOUND)["spec"]
    for pod in PODS:
        assert policy["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    (let_in,) = policy["ingress"]
    assert [port["port"] for port in let_in["ports"]] == [settings().telemetry.port]
    assert let_in["from"]
    let_out = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
    brokers = {int(broker.rpartition(":")[2]) for broker in VALUES["kafka"]["brokers"]}
    sinks = {int(port) for sink in settings().sinks for port in re.findall(r":(\d+)", getattr(sink, "url", ""))}
    assert let_out == {53} | brokers | sinks


def test_its_values_are_described_and_what_is_not_is_refused() -> None:
    jsonschema.validate(VALUES, SCHEMA)
    assert set(VALUES) == set(SCHEMA["properties"]) - {"global"}
    wrong: list[dict[str, Any]] = [
        {**VALUES, "worker": 3},
        {**VALUES, "workers": 0},
        {**VALUES, "kafka": {**VALUES["kafka"], "brokers": ["kafka"]}},
        {**VALUES, "secrets": [{"variable": "KEY", "value": "hunter2"}]},
        {**VALUES, "autoscaling": {**VALUES["autoscaling"], "kind": "guess"}},
    ]
    for values in wrong:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(values, SCHEMA)


def test_a_setting_that_is_none_is_refused_as_everywhere() -> None:
    toml = of_kind("ConfigMap", FOUND)["data"]["querywarden.toml"]
    with pytest.raises(SettingsError, match="replicaton"):
        read(toml.replace("replication", "replicaton"))
