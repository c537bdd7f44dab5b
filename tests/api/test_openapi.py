"""The OpenAPI document is complete, and what the routes do is what it says."""

import difflib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from app.api import document
from app.api.document import Example, complete, load_examples
from app.api.document_words import FIELDS, SUMMARIES
from app.base.ids import new_id
from tests.api.changes import CHANGES, SAME_AS_POST, World, make_world, send
from tests.api.reads import read_requests
from tests.api.support import ADMIN, Door
from tests.api.test_access_matrix import ROUTES, bare_app
from tests.api.test_one_transaction import ELSEWHERE

EXAMPLES = Path(document.__file__).with_name("examples.json")
LONG = frozenset(
    {
        "GET /spend/closes/{month}", "GET /spend/export", "GET /spend/exports", "GET /spend/retention",
        *(f"{method} {path}" for method in ("POST", "PATCH") for path in ELSEWHERE),
    }
)  # fmt: skip
"""Documented by their fields, without an example: they act on more than one thing."""
_KEY = re.compile(r"sk-kh-\w{49}")


def bare_document() -> dict[str, Any]:
    return bare_app().openapi_schema.to_schema()


def test_every_admin_and_finance_route_is_documented_with_its_fields_answers_and_errors() -> None:
    told = complete(bare_document())
    jsonschema_rs.meta.validate({"$defs": told["components"]["schemas"]})
    for method, path in ROUTES:
        operation = told["paths"][path][method.lower()]
        name = f"{method} {path}"
        assert name in load_examples(), f"{name} is not documented: pytest tests/api/test_openapi.py --update-golden"
        assert {"200", "400", "401", "403", "404", "422", "503"} <= operation["responses"].keys(), name
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        assert schema or name in LONG, f"{name} has no answer"
        assert path in SUMMARIES, f"{path} has no line in app/api/document_words.py"
        for field in load_examples()[name].fields:
            assert field in FIELDS, f'"{field}" of {name} has no line in app/api/document_words.py'
    paths = {path for _, path in ROUTES}
    assert set(SUMMARIES) - paths <= {"/spend/calculate"}, "these are no routes any more"


@pytest.mark.services
async def test_the_document_is_what_the_routes_do(
    admin_door: Door, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    door, update = admin_door, bool(request.config.getoption("--update-golden"))
    world = await make_world(door, "example" if update else new_id("doc"))
    owners = {f"{kind}_id": world.named(kind) for kind in ("team", "user", "organization", "customer")}
    await door.book(world.key, datetime.now(UTC), 1_000_000, **owners, tags=["a"], session_id=world.named("session"))
    names = await read_names(door, world, monkeypatch)
    seen = await seen_at_work(door, world)
    if update:
        await write_examples(door, world, names, seen)
    examples, told = load_examples(), complete(bare_document())
    for name, known in names.items():
        example = examples.get(name, Example())
        assert known == {*example.fields, *example.refused, *example.query}, f"{name}: --update-golden"
    for name, answers in seen.items():
        method, path = name.split(" ")
        content = told["paths"][path][method.lower()]["responses"]["200"]["content"]
        validator = jsonschema_rs.validator_for(content["application/json"]["schema"])
        for answer in answers:
            faults = [f"{list(fault.instance_path)}: {fault.message}" for fault in validator.iter_errors(answer)]
            assert not faults, f"{name}: {faults[:3]}; if that is meant: --update-golden"


async def read_names(door: Door, world: World, monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """The fields and parameters that each route reads, as it looks for the nearest to one that nobody knows."""
    heard: list[set[str]] = []
    plain = difflib.get_close_matches

    def listening(word: str, possibilities: Sequence[str], *further: Any, **more: Any) -> list[str]:
        if word == "nobody_knows":
            heard.append(set(possibilities))
        return list(plain(word, possibilities, *further, **more))

    monkeypatch.setattr(difflib, "get_close_matches", listening)
    found: dict[str, set[str]] = {}
    for method, path in ROUTES:
        heard.clear()
        concrete = re.sub(r"\{\w+\}", "x", path)
        if method == "GET":
            await door.get(concrete, query={"nobody_knows": "1"})
        else:
            await send(door, method, concrete, {"nobody_knows": 1})
        found[f"{method} {path}"] = set().union(*heard) - {"audit"} if heard else set()
    monkeypatch.undo()
    return found


async def seen_at_work(door: Door, world: World) -> dict[str, list[Any]]:
    """What each route answers, by method and path: reads before the changes and after some of them."""
    seen: dict[str, list[Any]] = {}
    await read_all(door, world, seen)
    for change in CHANGES:
        if change.path == "/model/delete":
            await read_all(door, world, seen)
        answer = await send(door, change.method, change.concrete(world), change.body(world))
        assert answer.status == 200, f"{change.path}: {answer.text}"
        seen.setdefault(f"{change.method} {change.path}", []).append(msgspec.json.decode(answer.text))
    for method, path in SAME_AS_POST:
        seen[f"{method} {path}"] = seen[f"POST {path}"]
    return seen


async def read_all(door: Door, world: World, seen: dict[str, list[Any]]) -> None:
    audit_id = (await door.get("/audit", page_size=1)).fields["audit_logs"][0]["id"]
    key = (await door.new_key())["key"]
    for path, concrete, query in read_requests(world, audit_id):
        of_itself = path in ("/key/self", "/api/v1/key")
        headers: Mapping[str, str] = {"authorization": f"Bearer {key}"} if of_itself else ADMIN
        answer = await door.get(concrete, headers=headers, query=query)
        if answer.status == 404:  # a key or a credential that an earlier change has taken away
            continue
        assert answer.status == 200, f"{path}: {answer.text}"
        seen.setdefault(f"GET {path}", []).append(msgspec.json.decode(answer.text))
    for path, body in (
        ("/budget/info", {"budgets": [world.named("budget")]}),
        ("/organization/info", {"organizations": [world.named("organization")]}),
        ("/spend/calculate", {"model": "file-claude", "messages": [{"role": "user", "content": "Hello"}]}),
        ("/tag/info", {"names": [world.named("tag")]}),
    ):
        answer = await door.post(path, body)
        if answer.status == 200:
            seen.setdefault(f"POST {path}", []).append(msgspec.json.decode(answer.text))


async def write_examples(
    door: Door, world: World, names: Mapping[str, set[str]], seen: Mapping[str, list[Any]]
) -> None:
    requests = {f"{change.method} {change.path}": change.body(world) for change in CHANGES}
    made = {}
    for method, path in ROUTES:
        name = f"{method} {path}"
        known = names[name]
        refused = (
            set() if method == "GET" else {field for field in known if await is_refused(door, method, path, field)}
        )
        made[name] = Example(
            fields=sorted(known - refused) if method != "GET" else [],
            refused=sorted(refused),
            query=sorted(known) if method == "GET" else [],
            request=requests.get(name),
            answers=shortened(seen.get(name, [])),
        )
    lines = [f"{msgspec.json.encode([name]).decode()[1:-1]}: {_encode(made[name])}" for name in sorted(made)]
    EXAMPLES.write_text(_KEY.sub("sk-kh-EXAMPLE", "{\n" + ",\n".join(lines) + "\n}\n"))


def _encode(example: Example) -> str:
    return msgspec.json.encode(example, order="sorted").decode()


async def is_refused(door: Door, method: str, path: str, field: str) -> bool:
    answer = await send(door, method, re.sub(r"\{\w+\}", "x", path), {field: 7})
    return answer.status == 422 and "not enforced" in answer.text


def shortened(answers: Sequence[Any]) -> list[Any]:
    """The last of them: as a rule the fullest. Lists keep what differs in kind."""
    unlike: dict[bytes, Any] = {}
    for answer in reversed(answers):
        short = _shortened(answer)
        unlike.setdefault(msgspec.json.encode(document.schema_of(short), order="sorted"), short)
    return list(unlike.values())[:3]


def _shortened(value: Any) -> Any:
    match value:
        case list():
            unlike = {msgspec.json.encode(document.schema_of(item), order="sorted"): item for item in reversed(value)}
            return [_shortened(item) for item in list(unlike.values())[:12]]
        case dict():
            return {key: _shortened(inner) for key, inner in value.items()}
        case _:
            return value
