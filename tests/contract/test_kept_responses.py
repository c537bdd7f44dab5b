"""Responses that the provider keeps: a tenant goes on from its own, and another's is none; with the official SDK."""

import json
from collections.abc import AsyncIterator, Callable

import openai
import pytest

from app.base.ids import new_id
from tests.fakes.gateway_process import Admin, GatewayProcess
from tests.fakes.responses_wire import answer_responses
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream

pytestmark = [pytest.mark.services, pytest.mark.contract]

Opener = Callable[[str], openai.AsyncOpenAI]


@pytest.fixture
async def client_of(gateway: GatewayProcess) -> AsyncIterator[Opener]:
    async with openai.DefaultAsyncHttpxClient(trust_env=False) as http:
        yield lambda key: openai.AsyncOpenAI(
            api_key=key, base_url=f"{gateway.base_url}/v1", http_client=http, max_retries=0
        )


def keep_next(upstream: RecordingUpstream, *, stream: bool) -> str:
    """The provider keeps its next answer under this name, which no other test has."""
    name = new_id("resp")
    answer = answer_responses(Script(), {"model": "gpt-5", "stream": stream}, name.removeprefix("resp_"))
    body = b"".join(frame.payload for frame in answer.frames)
    upstream.script(Script(raw=body.replace(b'"store":false', b'"store":true')))
    return name


async def booked(admin: Admin, key: str) -> None:
    assert len(await admin.receipts(key, 1)) == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_a_response_is_gone_on_from_by_its_key_and_its_team_and_is_none_to_another_tenant(
    client_of: Opener, admin: Admin, upstream: RecordingUpstream, *, stream: bool
) -> None:
    team = (await admin.post("/team/new")).json()["team_id"]
    own, mate = await admin.generate(team_id=team), await admin.generate(team_id=team)
    other = await admin.generate(team_id=(await admin.post("/team/new")).json()["team_id"])
    name = keep_next(upstream, stream=stream)
    said = await client_of(own).responses.with_raw_response.create(model="gpt-5", input="Hello", stream=stream)
    assert name.encode() in await said.http_response.aread() == bytes(upstream.responses[-1].body)
    await booked(admin, own)

    for key in (own, mate):
        await client_of(key).responses.create(model="gpt-5", input="Go on", previous_response_id=name)
        assert json.loads(upstream.requests[-1].body)["previous_response_id"] == name
    sent = len(upstream.requests)
    with pytest.raises(openai.NotFoundError) as refused:
        await client_of(other).responses.create(model="gpt-5", input="What was said?", previous_response_id=name)
    assert (refused.value.code, refused.value.param) == ("previous_response_not_found", "previous_response_id")
    assert f'no response "{name}" that this key or its team has made' in refused.value.message
    assert len(upstream.requests) == sent, "nothing of it may reach the provider"


async def test_a_response_that_was_not_made_here_may_be_named_by_all(
    client_of: Opener, admin: Admin, upstream: RecordingUpstream
) -> None:
    name = new_id("resp")
    await client_of(await admin.generate()).responses.create(model="gpt-5", input="On", previous_response_id=name)
    assert json.loads(upstream.requests[-1].body)["previous_response_id"] == name


async def test_a_translated_answer_is_kept_nowhere_and_has_no_owner(
    client_of: Opener, admin: Admin, upstream: RecordingUpstream
) -> None:
    own, other = await admin.generate(), await admin.generate()
    made = await client_of(own).responses.create(model="claude-sonnet-4-6", input="Hello")
    await booked(admin, own)
    await client_of(other).responses.create(model="gpt-5", input="On", previous_response_id=made.id)
    assert json.loads(upstream.requests[-1].body)["previous_response_id"] == made.id
