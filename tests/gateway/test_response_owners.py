"""A response that another tenant has made is none, whichever way a request goes on from it."""

import pytest

from app.base.errors import PreviousResponseNotFound, StorageUnavailable
from app.domain.access import Principal
from app.domain.provider_objects import ResponseOwner
from app.gateway.response_owners import ResponseOwners
from app.protocols.openai_responses.codec import OpenAIResponses
from tests.gateway.test_file_owners import key

CODEC = OpenAIResponses()
OWNERS = {"resp_a": ResponseOwner("key_a", "team_a"), "resp_b": ResponseOwner("key_b", None)}


class Known:
    """The port, which notes what it was asked."""

    def __init__(self, *, down: bool = False) -> None:
        self.asked: list[str] = []
        self._down = down

    async def find(self, response_id: str) -> ResponseOwner | None:
        self.asked.append(response_id)
        if self._down:
            raise StorageUnavailable("Postgres does not answer")
        return OWNERS.get(response_id)


async def check(members: str, principal: Principal, known: Known | None = None) -> list[str]:
    known = known or Known()
    envelope = CODEC.read_envelope(f'{{"model": "gpt-5", "input": "on", {members}}}'.encode())
    await ResponseOwners(known).check(principal, envelope)
    return known.asked


@pytest.mark.parametrize(
    "members",
    [
        '"previous_response_id": "resp_b"',
        '"previous_response_i\\u0064": "resp\\u005fb"',
        '"previous_response_id": "resp_a", "previous_response_id": "resp_b"',
        '"previous_response_id": "resp_a", "\\u0070revious_response_id": "resp_b"',
    ],
)
async def test_a_response_of_another_tenant_is_not_found(members: str) -> None:
    with pytest.raises(PreviousResponseNotFound, match=r'no response "resp_b" .* send the conversation in input'):
        await check(members, key("key_a", "team_a"))


@pytest.mark.parametrize("principal", [key("key_a"), key("key_c", "team_a"), key("master", is_admin=True)])
async def test_its_key_its_team_and_the_master_key_may_go_on_from_it(principal: Principal) -> None:
    await check('"previous_response_id": "resp_a"', principal)


async def test_keys_without_a_team_are_not_of_one_team() -> None:
    with pytest.raises(PreviousResponseNotFound):
        await check('"previous_response_id": "resp_b"', key("key_c"))


async def test_a_response_that_was_not_made_here_may_be_named_by_all() -> None:
    assert await check('"previous_response_id": "resp_of_the_console"', key("key_a")) == ["resp_of_the_console"]


@pytest.mark.parametrize(
    "members",
    [
        '"store": true',
        '"metadata": {"previous_response_id": "resp_b"}',
        '"previous_response_id": null',
        '"previous_response_id": 7',
        '"previous_response_id": {"id": "resp_b"}',
        '"previous_response_id": "resp_\\u0000"',
        f'"previous_response_id": "{"r" * 513}"',
    ],
)
async def test_a_request_that_names_none_that_could_be_noted_asks_nothing(members: str) -> None:
    assert await check(members, key("key_a")) == []


async def test_where_the_owner_cannot_be_known_the_request_is_not_sent() -> None:
    with pytest.raises(StorageUnavailable):
        await check('"previous_response_id": "resp_a"', key("key_a"), Known(down=True))
