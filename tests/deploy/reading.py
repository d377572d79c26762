"""The files of deploy/, read by what the tests of this folder hold them to."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import yaml

from detector.settings import Settings, settings_of

DEPLOY = Path(__file__).parents[2] / "deploy"
CHART = DEPLOY / "helm" / "querywarden"
COMPOSE = DEPLOY / "compose" / "docker-compose.yml"
MANIFESTS = DEPLOY / "kubernetes" / "querywarden.yaml"
UNITS = DEPLOY / "systemd"


def documents(text: str) -> list[dict[str, Any]]:
    """The YAML documents of a text, none of them empty."""
    return [one for one in yaml.safe_load_all(text) if one]


def of_kind(kind: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    """The only one of its kind."""
    (one,) = [document for document in found if document["kind"] == kind]
    return one


def read(toml: str) -> Settings:
    """As the product reads it. Raises SettingsError."""
    return settings_of(tomllib.loads(toml))
