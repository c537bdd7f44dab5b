"""What a key was refused for last is kept for its owner, and a flood of refusals costs the store nothing."""

from collections.abc import Mapping
from datetime import UTC, datetime

from app.base.errors import ModelNotFound
from app.gateway.call import Reply
from app.gateway.last_refusals import MOST_WAITING, LastRefusals

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Board:
    def __init__(self) -> None:
        self.entries: dict[str, bytes] = {}
        self.writes = 0

    async def write(self, said: Mapping[str, bytes]) -> None:
        self.writes += 1
        self.entries |= said

    async def read(self, key_id: str) -> bytes | None:
        return self.entries.get(key_id)


async def test_only_the_last_of_many_refusals_is_written_and_all_keys_at_once() -> None:
    board = Board()
    refusals = LastRefusals(board)
    for number in range(500):
        refusals.note("key_1", ModelNotFound(f"no model {number}"), 404, f"req_{number}", NOW)
        refusals.note("key_2", ModelNotFound("x" * 5000), 404, "req", NOW)
    await refusals.write()
    await refusals.write()
    assert board.writes == 1
    found = await refusals.find("key_1")
    assert found is not None
    assert (found.message, found.status, found.code, found.at) == ("no model 499", 404, "model_not_found", NOW)
    assert len(board.entries["key_2"]) < 1000


async def test_a_refusal_of_the_provider_is_told_in_its_own_words() -> None:
    refusals = LastRefusals(Board())
    body = b'{"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: too large"}}'
    refusals.note_reply("key_1", Reply(400, [], body), "req_1", NOW)
    refusals.note_reply("key_2", Reply(502, [], b"<html>"), "req_2", NOW)
    await refusals.write()
    first, second = await refusals.find("key_1"), await refusals.find("key_2")
    assert first is not None
    assert second is not None
    assert first.message == "the provider answered 400: max_tokens: too large"
    assert second.message == "the provider answered 502"


async def test_what_waits_is_bounded_and_what_cannot_be_read_is_as_if_it_were_not_there() -> None:
    board = Board()
    refusals = LastRefusals(board)
    for number in range(MOST_WAITING + 10):
        refusals.note(f"key_{number}", ModelNotFound("no model"), 404, "req", NOW)
    await refusals.write()
    assert len(board.entries) == MOST_WAITING
    board.entries["key_old"] = b"of another version"
    assert await refusals.find("key_old") is None
