"""docker-compose.yml: settings that workers take, a folder for each, and no door open to other machines."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from detector.cli import _parser
from detector.cluster import stages
from detector.profile.artefact import Profile
from tests.deploy.reading import COMPOSE, read

FOUND: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
SERVICES: dict[str, dict[str, Any]] = FOUND["services"]
OURS = [name for name, service in SERVICES.items() if service["image"].startswith("querywarden")]
WORKERS = [name for name in OURS if SERVICES[name]["command"][0] == "worker"]
OWN = "/var/lib/querywarden"


def test_workers_take_its_settings(profile: Profile) -> None:
    settings = read((COMPOSE.with_name("querywarden.toml")).read_text())
    source, _ = stages.check(settings, profile)
    assert settings.cluster.replication == 1  # of a single broker
    host, _, port = source.brokers[0].partition(":")
    assert host in SERVICES
    assert f"://{source.brokers[0]}" in SERVICES[host]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert f"--topic={source.topic}" in SERVICES["log"]["command"]
    assert port == "9092"


def test_sinks_are_services_of_it() -> None:
    settings = read((COMPOSE.with_name("querywarden.toml")).read_text())
    urls = [sink.url for sink in settings.sinks if hasattr(sink, "url")]
    assert [url.partition("://")[2].partition(":")[0] for url in urls] == ["elasticsearch"]


def test_two_workers_with_a_folder_each() -> None:
    assert len(WORKERS) == 2
    folders = [volume.partition(":")[0] for name in WORKERS for volume in SERVICES[name]["volumes"] if OWN in volume]
    assert len(set(folders)) == 2
    assert set(folders) <= set(FOUND["volumes"])
    assert all(SERVICES[name]["restart"] == "always" for name in WORKERS)  # crash-only


@pytest.mark.parametrize("name", OURS)
def test_ours_have_no_rights_and_write_only_their_folder(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "user" not in service  # the image's
    written = [volume for volume in service["volumes"] if not volume.endswith(":ro")]
    assert all(volume.endswith(f":{OWN}") for volume in written)


def test_the_dashboard_reaches_the_broker_from_this_machine_and_has_a_folder_of_its_own() -> None:
    service = SERVICES["dashboard"]
    (broker,) = json.loads(service["environment"]["QUERYWARDEN_SOURCE__BROKERS"])
    assert f"://{broker}" in SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert f"127.0.0.1:{broker.rpartition(':')[2]}" in [port.rpartition(":")[0] for port in SERVICES["kafka"]["ports"]]
    assert [volume for volume in service["volumes"] if OWN in volume] == [f"dashboard:{OWN}"]
    assert "profiles" not in service


@pytest.mark.parametrize("name", OURS)
def test_ours_start_commands_that_there_are(name: str) -> None:
    assert _parser().parse_args(SERVICES[name]["command"]).command


def test_ports_are_open_to_this_machine_alone() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_what_waits_for_health_waits_for_what_has_a_check() -> None:
    for service in SERVICES.values():
        for name, wanted in service.get("depends_on", {}).items():
            assert name in SERVICES
            if wanted["condition"] == "service_healthy":
                assert "test" in SERVICES[name]["healthcheck"]
