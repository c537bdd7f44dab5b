"""Requests made from the OpenAPI document, against a running gateway: no 5xx, no status and no shape that it lacks.

A longer run: ``KEYHOUSE_TEST_FUZZ_EXAMPLES=200 pytest tests/contract/test_openapi_fuzz.py``.
"""

import os
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from app.api.document import load_examples
from app.api.ui.access import Pages
from app.base.ids import new_id
from app.storage.postgres.engine import create_engine
from app.storage.principals import Principals
from tests.api.changes import CHANGES, World, make_world
from tests.api.reads import read_requests
from tests.api.support import ADMIN, MASTER_KEY, Door
from tests.fakes.gateway_process import GatewayProcess

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import schemathesis
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

pytestmark = [
    pytest.mark.services,
    pytest.mark.contract,
    pytest.mark.timeout(7200),
    pytest.mark.filterwarnings("ignore"),  # of the tool's own
]

EXAMPLES = int(os.environ.get("KEYHOUSE_TEST_FUZZ_EXAMPLES", "2"))
CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


MEANT = ("_id", "_ids", "_alias", "_date", "_name", "key", "keys", "id", "member", "budgets", "organizations")
"""Ends of the names of fields that name what there is: of every second request they are those of the world."""


CONFIG = """
model_list:
  - {model_name: file-claude, litellm_params: {model: anthropic/claude-sonnet-4-5, api_key: sk-ant-none}}
"""


@pytest.fixture(scope="module")
def administered(
    database_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    """With the models and the master key that tests/api knows."""
    folder = tmp_path_factory.mktemp("fuzzed")
    (folder / "config.yaml").write_text(CONFIG)
    stores = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "KEYHOUSE_MASTER_KEY": MASTER_KEY}
    stores["KEYHOUSE_CLAUDE_CODE_SIGN_IN"] = "true"
    process = GatewayProcess(folder / "home", stores, "--config", str(folder / "config.yaml"))
    process.start()
    yield process
    process.stop()


@pytest.fixture
async def door(administered: GatewayProcess, database_url: str) -> AsyncIterator[Door]:
    engine, nobody, nowhere = create_engine(database_url), cast("Principals", None), cast("Pages", None)
    async with httpx.AsyncClient(base_url=administered.base_url, trust_env=False, timeout=30) as client:
        yield Door(engine, nobody, client, nowhere)
    await engine.dispose()


async def test_what_the_document_allows_is_answered_as_it_says(administered: GatewayProcess, door: Door) -> None:
    document = (await door.client.get("/docs/openapi.json")).json()
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=administered.base_url)
    operations: list[Any] = [cast("Any", found).ok() for found in schema.get_all_operations()]
    operations = [one for one in operations if f"{one.method.upper()} {one.path}" in load_examples()]
    failures: dict[str, str] = {}
    statuses: Counter[int] = Counter()
    world: World | None = None
    for operation in operations:
        if world is None or operation.path.endswith(("delete", "regenerate")) or operation.method == "delete":
            world = await make_world(door, new_id("fuzz"))
        fuzz(operation, meant(world, operation), statuses, failures)
    assert not failures, "\n\n".join(f"{name}: {text[:1500]}" for name, text in failures.items())
    assert statuses[200] > len(operations) / 2, f"too few were answered to say anything: {statuses}"


def meant(world: World, operation: Any) -> dict[str, Any]:
    """What a request of this route may say of the world: a working one's fields and parameters that name things."""
    bodies = {(change.method, change.path): change.body(world) for change in CHANGES}
    queries = {path: query for path, _, query in reversed(read_requests(world, "none"))}
    working: Any = bodies.get((operation.method.upper(), operation.path)) or queries.get(operation.path) or {}
    return {name: value for name, value in working.items() if name.endswith(MEANT)}


def fuzz(operation: Any, named: dict[str, Any], statuses: Counter[int], failures: dict[str, str]) -> None:
    tried = 0

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def call(case: Any) -> None:
        nonlocal tried
        tried += 1
        if tried % 2:
            if isinstance(case.body, dict):
                case.body = {**case.body, **named}
            elif operation.method == "get":
                case.query = {**(case.query or {}), **named}
        statuses[case.call_and_validate(headers=dict(ADMIN), checks=CHECKS, timeout=30).status_code] += 1

    try:
        call()
    except (AssertionError, Exception) as error:  # noqa: BLE001  the tool's failures have no common class
        failures[operation.label] = "\n".join([str(error), *(str(one) for one in getattr(error, "exceptions", ()))])
