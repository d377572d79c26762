"""Schemathesis over the OpenAPI document, as an admin: nothing that can be asked ends in a mistake of ours, and what is
answered is what the document says.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)

from detector.dashboard.access.person import Person
from detector.dashboard.keeping.opening import file_url, opened
from detector.dashboard.shapes import NewToken
from detector.dashboard_settings import DashboardSettings
from tests.dashboard.conftest import OIDC, Browser, Scene

pytestmark = pytest.mark.slow

EXAMPLES = 8  # of each operation, fitting and not
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
ENDLESS = "events"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder: Path = tmp_path_factory.mktemp("fuzzed")
    with ExitStack() as stack:
        engine = opened(file_url(folder))
        stack.callback(engine.dispose)
        yield Scene(DashboardSettings(oidc=OIDC), engine, folder, stack, None)


@pytest.fixture(scope="module")
def machine(scene: Scene) -> Browser:
    """By token: a session could be ended by what is asked."""
    admin = Person(id="oidc:a", name="a", role="admin", expires_at=0.0)
    return scene.new(token=scene.house.entrance.make_token(NewToken("fuzz", "admin"), admin).secret)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["fitting", "not fitting"])
def test_nothing_ends_in_a_mistake_of_ours(scene: Scene, machine: Browser, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_dict(scene.anybody.get("/openapi.json").json())
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) > 30
    for operation in operations:
        raw = operation.definition.raw
        takes_something = "parameters" in raw or "requestBody" in raw
        if raw["operationId"] != ENDLESS and (takes_something or mode is GenerationMode.POSITIVE):
            asked(operation, machine, mode)


def asked(operation: Any, machine: Browser, mode: GenerationMode) -> None:
    @settings(
        max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        kwargs = case.as_transport_kwargs(base_url="http://127.0.0.1:9465")
        kwargs.pop("cookies", None)
        headers = {name: value for name, value in kwargs.pop("headers", {}).items() if name.lower() != "authorization"}
        answer = machine.request(headers={**headers, **machine.headers}, **kwargs)
        case.validate_response(answer, checks=CHECKS)

    check()
