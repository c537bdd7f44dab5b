"""Azure over loopback: which credential is sent, and how a token is fetched, kept and refused."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import parse_qs

import anthropic
import pytest

from app.base.errors import UpstreamRejected, UpstreamUnreachable
from app.providers.azure import AzureUpstream
from app.providers.host_table import HOSTS
from app.providers.upstream import HttpUpstream
from tests.fakes.gateway_process import free_port
from tests.providers.loopback import Loopback, loopback, read, request_to

CLIENT = {"tenant_id": "contoso.example", "client_id": "app", "client_secret": "s3cret&=+"}
KEY = HOSTS["azure"].credential_headers("the-key")
CHAT = "/openai/deployments/m/chat/completions?api-version=2024-10-21"
MESSAGES = "/anthropic/v1/messages"


@pytest.fixture
async def host() -> AsyncIterator[Loopback]:
    async with loopback() as running:
        running.answer_json({"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "m",
                             "stop_reason": "end_turn", "stop_sequence": None,
                             "usage": {"input_tokens": 1, "output_tokens": 1}})  # fmt: skip
        yield running


@pytest.fixture
async def entra() -> AsyncIterator[Loopback]:
    async with loopback() as running:
        running.answer_json({"token_type": "Bearer", "expires_in": 3599, "access_token": "token-1"})
        yield running


@pytest.fixture
async def azure(entra: Loopback) -> AsyncIterator[AzureUpstream]:
    http = HttpUpstream()
    yield AzureUpstream(http, entra.url)
    await http.close()


async def test_a_key_is_sent_as_it_is(host: Loopback, entra: Loopback, azure: AzureUpstream) -> None:
    await read(await azure.send(request_to(host.url + CHAT, headers=KEY, options=CLIENT)))
    [request] = host.requests
    assert (request.header("api-key"), request.header("x-api-key")) == ("the-key", "the-key")
    assert request.header("authorization") is None
    assert entra.requests == []


async def test_a_given_token_takes_the_place_of_a_key(host: Loopback, entra: Loopback, azure: AzureUpstream) -> None:
    await read(
        await azure.send(request_to(host.url + CHAT, headers=KEY, options={"azure_ad_token": "eyJ\n", **CLIENT}))
    )
    [request] = host.requests
    assert request.header_values("authorization") == ["Bearer eyJ"]
    assert request.header("api-key") is request.header("x-api-key") is None
    assert entra.requests == []


async def test_a_token_is_fetched_with_the_clients_secret(
    host: Loopback, entra: Loopback, azure: AzureUpstream
) -> None:
    await read(await azure.send(request_to(host.url + CHAT, options=CLIENT)))
    assert host.requests[0].header_values("authorization") == ["Bearer token-1"]
    [asked] = entra.requests
    assert (asked.method, asked.target) == ("POST", "/contoso.example/oauth2/v2.0/token")
    assert asked.header("content-type") == "application/x-www-form-urlencoded"
    assert parse_qs(asked.body.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["app"],
        "client_secret": ["s3cret&=+"],
        "scope": ["https://cognitiveservices.azure.com/.default"],
    }


async def test_a_token_is_fetched_once_for_all_calls(host: Loopback, entra: Loopback, azure: AzureUpstream) -> None:
    request = request_to(host.url + CHAT, options=CLIENT)
    await asyncio.gather(*(azure.send(request) for _ in range(10)))
    await azure.send(request)
    assert len(entra.requests) == 1
    assert len(host.requests) == 11


async def test_other_credentials_have_tokens_of_their_own(
    host: Loopback, entra: Loopback, azure: AzureUpstream
) -> None:
    for options in (CLIENT, {**CLIENT, "client_secret": "another"}, {**CLIENT, "tenant_id": "../other"}):
        await azure.send(request_to(host.url + CHAT, options=options))
    assert [request.path.split("/")[1] for request in entra.requests] == [
        "contoso.example",
        "contoso.example",
        "..%2Fother",
    ]


async def test_anthropics_models_are_asked_with_the_scope_of_foundry(
    host: Loopback, entra: Loopback, azure: AzureUpstream
) -> None:
    await azure.send(request_to(host.url + MESSAGES, options=CLIENT))
    assert parse_qs(entra.requests[0].body.decode())["scope"] == ["https://ai.azure.com/.default"]


async def test_anthropics_own_client_asks_for_the_same(host: Loopback, azure: AzureUpstream) -> None:
    client = anthropic.AsyncAnthropicFoundry(
        base_url=host.url + "/anthropic/", azure_ad_token_provider=lambda: "token-1", max_retries=0
    )
    await client.messages.create(model="claude", max_tokens=1, messages=[{"role": "user", "content": "hi"}])
    await azure.send(request_to(host.url + MESSAGES, options=CLIENT))
    theirs, ours = host.requests
    assert theirs.target == ours.target
    assert theirs.header_values("authorization") == ours.header_values("authorization")
    assert theirs.header("x-api-key") is ours.header("x-api-key") is None


async def test_a_token_that_the_host_refuses_is_fetched_anew(
    host: Loopback, entra: Loopback, azure: AzureUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.providers.tokens._NEW_S", 0)
    entra.answer_json({"access_token": "token-2", "expires_in": "3599"})
    host.answers.clear()
    host.answer_json({"error": {"code": "401", "message": "Access token has expired."}}, 401)
    request = request_to(host.url + CHAT, options=CLIENT)
    assert (await azure.send(request)).status == 401
    await azure.send(request)
    assert [request.header("authorization") for request in host.requests] == ["Bearer token-1", "Bearer token-2"]


async def test_neither_a_key_nor_a_token_is_said_with_the_next_step(host: Loopback, azure: AzureUpstream) -> None:
    with pytest.raises(
        UpstreamRejected, match=r"neither a key nor a token.*api_key.*\(client_secret not set\)"
    ) as raised:
        await azure.send(request_to(host.url + CHAT, options={"tenant_id": "t", "client_id": "c"}))
    assert (raised.value.status, raised.value.provider) == (502, "cloud")
    assert host.requests == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"error": "invalid_client", "error_description": "AADSTS7000215: Bad secret s3cret&=+.\r\nTrace ID: 1"},
         r"AADSTS7000215: Bad secret \*\*\*\."),
        ({"error": "invalid_client"}, "invalid_client"),
        ({"error": 7}, "status 401"),
        ([1], "status 401"),
    ],
)  # fmt: skip
async def test_a_refusal_of_a_token_names_the_next_step_and_no_secret(
    host: Loopback, entra: Loopback, azure: AzureUpstream, answer: object, said: str
) -> None:
    entra.answers.clear()
    entra.answer_json(answer, 401)
    with pytest.raises(UpstreamRejected, match=said) as raised:
        await azure.send(request_to(host.url + CHAT, options=CLIENT))
    assert raised.value.message.endswith("an admin should check tenant_id, client_id and client_secret")
    assert "s3cret" not in raised.value.message
    assert raised.value.status == 502


async def test_an_identity_service_that_is_not_there_is_unreachable(host: Loopback) -> None:
    azure = AzureUpstream(HttpUpstream(), f"http://127.0.0.1:{free_port()}")
    with pytest.raises(UpstreamUnreachable, match=r'Microsoft Entra ID did not answer .* provider "cloud"'):
        await azure.send(request_to(host.url + CHAT, options=CLIENT))
