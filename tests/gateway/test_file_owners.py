"""A file that another tenant has uploaded is none: whichever way a request names it."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from app.base.errors import InvalidRequest, NotFound, StorageUnavailable
from app.base.ids import KeyId, TeamId
from app.domain.access import Principal
from app.domain.keys import VirtualKey
from app.domain.provider_objects import ObjectKind, ProviderObject
from app.gateway.call import Call, Operation
from app.gateway.file_owners import FileOwners, files_named_in
from app.protocols.anthropic_messages.codec import AnthropicMessages

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


def file_of(key_id: str, team_id: str | None, object_id: str) -> ProviderObject:
    where = ("anthropic", "https://api.anthropic.com", "dep_1")
    return ProviderObject("file", object_id, None, team_id, None, key_id, *where, NOW)


class Known:
    """The part of the ProviderObjects port that is asked."""

    def __init__(self, *records: ProviderObject) -> None:
        self._records = {record.object_id: record for record in records}
        self.asked: list[list[str]] = []

    async def any(self, kind: ObjectKind) -> bool:
        return bool(self._records)

    async def find_all(self, kind: ObjectKind, object_ids: list[str]) -> list[ProviderObject]:
        assert kind == "file"
        self.asked.append(object_ids)
        return [self._records[one] for one in object_ids if one in self._records]


def key(key_id: str, team_id: str | None = None, *, is_admin: bool = False) -> Principal:
    team = None if team_id is None else TeamId(team_id)
    return Principal(VirtualKey(KeyId(key_id), last_four="abcd", created_at=NOW, team_id=team), is_admin=is_admin)


def call(body: bytes, operation: Operation = "generate") -> Call:
    return Call("req_1", AnthropicMessages(), operation, "POST", "/v1/messages", None, b"", [], body, NOW, 0.0)


def message(*file_ids: str) -> bytes:
    parts = [{"type": "document", "source": {"type": "file", "file_id": one}} for one in file_ids]
    return msgspec.json.encode({"model": "m", "messages": [{"role": "user", "content": parts}]})


async def check(body: bytes, principal: Principal, operation: Operation = "generate") -> Known:
    known = Known(file_of("key_a", "team_a", "file_a"), file_of("key_b", None, "file_b"))
    owners: Any = known
    await FileOwners(owners).check(call(body, operation), principal)
    return known


@pytest.mark.parametrize(
    "body",
    [
        message("file_b"),
        message("file_a", "file_b"),
        message("file_b").replace(b"file_id", b"file\\u005fid"),
        message("file_b").replace(b"file_id", b"\\u0066ile_id").replace(b"file_b", b"file\\u005fb"),
        b'{"file_id": "file_b", "file_id": "file_a"}',
        b'{"file_id": "file_a", "file_id": "file_b"}',
        b'{"large": ' + b"9" * 5_000 + b', "file_id": "file_b"}',
        b'{"container": {"file_ids": ["file_a", "file_b"]}}',
        b'{"requests": [{"params": ' + message("file_b") + b"}]}",
        b'{"padding": "' + b"x" * 1_100_000 + b'", "file_id": "file_b"}',
    ],
    ids=lambda body: body[:60].decode(),
)
async def test_a_file_of_another_tenant_is_not_found(body: bytes) -> None:
    with pytest.raises(NotFound, match='no file "file_b"'):
        await check(body, key("key_a", "team_a"))


@pytest.mark.parametrize("principal", [key("key_a"), key("key_c", "team_a"), key("master", is_admin=True)])
async def test_its_key_its_team_and_the_master_key_may_name_it(principal: Principal) -> None:
    await check(message("file_a"), principal)


async def test_a_file_that_was_not_uploaded_here_may_be_named_by_all() -> None:
    assert (await check(message("file_of_the_console"), key("key_a"))).asked == [["file_of_the_console"]]


@pytest.mark.parametrize(
    "body",
    [
        b'{"messages": [{"role": "user", "content": "\\"file_id\\": \\"file_b\\""}]}',
        b'{"tools": [{"input_schema": {"properties": {"file_id": {"type": "string"}}}}]}',
        b'{"messages": []}',
        b'not JSON, with "file_id": "file_b"',
        b'{"file_id": "file_\\u0000b"}',
        b'{"file_id": "file_\\ud800b"}',
        b"",
    ],
)
async def test_a_request_that_names_no_file_asks_nothing(body: bytes) -> None:
    assert (await check(body, key("key_a"))).asked == []


async def test_what_is_uploaded_is_not_read() -> None:
    assert (await check(message("file_b"), key("key_a"), "files")).asked == []


async def test_more_files_than_a_batch_may_name_are_refused_with_their_number() -> None:
    with pytest.raises(InvalidRequest, match="names 1,001 files"):
        await check(message(*(f"file_{number}" for number in range(1_001))), key("key_a"))


def test_files_are_found_however_deep_they_lie() -> None:
    assert files_named_in(b'[{"a": [{"file_id": "one"}]}, {"file_ids": ["two", 3, null]}]') == {"one", "two"}


async def test_where_nothing_was_uploaded_requests_are_not_looked_through() -> None:
    known: Any = Known()
    owners = FileOwners(known)
    for _ in range(3):
        await owners.check(call(message("file_b")), key("key_a"))
        await asyncio.sleep(0)
    assert known.asked == [["file_b"]], "before it was known"


async def test_a_store_that_does_not_answer_keeps_nobody_waiting_who_names_no_file() -> None:
    class Down(Known):
        async def any(self, kind: ObjectKind) -> bool:
            raise StorageUnavailable("Postgres does not answer")

    down: Any = Down()
    owners = FileOwners(down)
    for _ in range(3):
        await owners.check(call(b'{"messages": []}'), key("key_a"))
        await asyncio.sleep(0)
    with pytest.raises(InvalidRequest):
        await owners.check(call(message(*map(str, range(1_001)))), key("key_a"))
