"""What Claude Code asks of a gateway, C01 to C14: paths and keys. Every number has a test or a note."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.contract.claude_code import HEADERS, MODEL, send, turn
from tests.contract.conftest import PROVIDER_KEY
from tests.fakes.gateway_process import Admin, GatewayProcess
from tests.fakes.upstream import RecordingUpstream

pytestmark = [pytest.mark.services, pytest.mark.contract]

NUMBERS = {
    f"c{number:02}"
    for first, last in ((1, 7), (10, 14), (20, 25), (30, 35), (40, 45), (50, 63))
    for number in range(first, last + 1)
}
NOTES = {
    "c05": "Bedrock's, Vertex's and Foundry's formats are spoken to hosts, not to clients: Claude Code takes Messages.",
    "c14": "A claude.ai login that is passed on is not built; a login is never taken for a key of ours.",
    "c44": "No client is answered in Bedrock's format (see c05).",
    "c61": "`keyhouse claude` gives out these settings: tests/contract/test_connecting.py.",
    "c62": "docs/clients/vscode-and-actions.md; `keyhouse connect` writes them: tests/contract/test_connecting.py.",
}
ELSEWHERE = {
    "c35": "tests/providers/test_bedrock.py",
    "c63": "tests/contract/test_own_usage.py",
}
HERE = Path(__file__).parent


def test_every_number_of_the_contract_has_a_test_or_a_note() -> None:
    files = [*HERE.glob("test_claude_code_*.py")]
    named = re.findall(
        r"^(?:async )?def test_((?:c\d\d_)+)", "\n".join(path.read_text() for path in files), re.MULTILINE
    )
    tested = {number for names in named for number in names.split("_") if number}
    assert tested <= NUMBERS
    assert NUMBERS - tested == NOTES.keys() | ELSEWHERE.keys(), "each is either tested here, tested elsewhere or noted"
    assert all((HERE.parent.parent / path).exists() for path in ELSEWHERE.values())


@pytest.fixture
async def http(gateway: GatewayProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=gateway.base_url, timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture
async def key(admin: Admin) -> str:
    return await admin.generate()


async def test_c01_messages_are_served_by_their_path_whatever_the_query(
    http: httpx.AsyncClient, key: str, upstream: RecordingUpstream
) -> None:
    for query in ("", "?beta=true", "?beta=true&of=the&future"):
        answer = await send(http, key, turn(), f"/v1/messages{query}")
        assert answer.status_code == 200, answer.text
        assert upstream.requests[-1].target == f"/v1/messages{query}"


async def test_c01_a_probe_of_one_token_is_answered_by_every_model(http: httpx.AsyncClient, key: str) -> None:
    for model in (MODEL, "gpt-5", "gpt-5-responses", "gemini-2.5-pro", "deepseek-reasoner", "llama"):
        probe = {"model": model, "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]}
        answer = await send(http, key, probe)
        assert answer.status_code == 200, (model, answer.text)
        assert answer.json()["model"] == model


async def test_c02_twenty_six_counts_at_once_cost_nothing_and_pass_every_limit(
    http: httpx.AsyncClient, admin: Admin, upstream: RecordingUpstream
) -> None:
    key = await admin.generate(max_budget=0, rpm_limit=1, tpm_limit=1, max_parallel_requests=1)
    counted = {name: value for name, value in turn().items() if name not in {"max_tokens", "stream"}}
    path = "/v1/messages/count_tokens?beta=true"
    asked = [send(http, key, counted | {"model": ("gpt-5", MODEL)[number % 2]}, path) for number in range(26)]
    answers = await asyncio.gather(*asked)
    assert {answer.status_code for answer in answers} == {200}
    assert all(answer.json()["input_tokens"] > 0 for answer in answers)
    assert sum(request.path == "/v1/messages/count_tokens" for request in upstream.requests) == 13
    assert await admin.receipts(key, 0) == []


async def test_c03_the_model_list_has_the_form_that_discovery_reads(http: httpx.AsyncClient, key: str) -> None:
    asking = {"anthropic-version": "2023-06-01", "user-agent": "claude-code/2.1.329", "x-api-key": key}
    answer = await http.get("/v1/models?limit=1000", headers=asking)
    assert answer.status_code == 200
    for entry in answer.json()["data"]:
        assert isinstance(entry["id"], str)
        assert isinstance(entry["display_name"], str)
        assert isinstance(entry["description"], str)


async def test_c04_the_first_probe_needs_no_key_and_leaves_no_trace(
    http: httpx.AsyncClient, gateway: GatewayProcess, upstream: RecordingUpstream
) -> None:
    before = gateway.log().count('"refused"')
    for path in ("/api/hello", "/"):
        answer = await http.head(path, headers={"user-agent": "Bun/1.4.4"})
        assert (answer.status_code, answer.content) == (200, b"")
    assert upstream.requests == []
    assert gateway.log().count('"refused"') == before


async def test_c06_no_path_is_ever_answered_by_a_redirect(http: httpx.AsyncClient, key: str) -> None:
    for method, path in (
        ("GET", "/v1/models"), ("GET", "/v1/models/"), ("POST", "/v1/messages/"), ("POST", "/v1//messages"),
        ("GET", "/anthropic/v1/models/"), ("HEAD", "/api/hello/"), ("POST", "/v1/v1/messages"),
    ):  # fmt: skip
        headers = {"x-api-key": key, "x-forwarded-proto": "http"}
        answer = await http.request(method, path, headers=headers, follow_redirects=False)
        assert not 300 <= answer.status_code < 400, path


async def test_c07_prompts_that_a_web_firewall_would_refuse_and_large_ones_pass(
    http: httpx.AsyncClient, key: str, upstream: RecordingUpstream
) -> None:
    source = "<script>alert(1)</script> ' OR 1=1 -- ../../etc/passwd ${jndi:ldap://x} {{7*7}} \x00\x1b[31m"
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 6_000_000}}
    content = [{"type": "text", "text": source}, picture]
    answer = await send(http, key, turn(messages=[{"role": "user", "content": content}]))
    assert answer.status_code == 200, answer.text
    assert upstream.requests[-1].json()["messages"][0]["content"] == content


async def test_c10_c13_the_key_is_taken_in_either_header_or_both_and_never_reaches_the_provider(
    http: httpx.AsyncClient, key: str, upstream: RecordingUpstream
) -> None:
    for credentials in (
        {"authorization": f"Bearer {key}"}, {"x-api-key": key}, {"authorization": f"Bearer {key}", "x-api-key": key},
    ):  # fmt: skip
        answer = await http.post("/v1/messages?beta=true", json=turn(), headers={**HEADERS, **credentials})
        assert answer.status_code == 200, credentials
        received = upstream.requests[-1]
        assert key not in str(received.headers) + received.body.decode()
        assert received.header("x-api-key") == PROVIDER_KEY
        assert received.header("authorization") is None


async def test_c11_of_two_different_values_ours_is_the_key_and_two_of_ours_are_refused(
    http: httpx.AsyncClient, key: str, admin: Admin, gateway: GatewayProcess, upstream: RecordingUpstream
) -> None:
    other, login = await admin.generate(), "sk-ant-oat01-somebodys-login"
    answer = await send(http, key, turn(), x_api_key=login)
    assert answer.status_code == 200
    assert login not in str(upstream.requests[-1].headers)
    refused = await send(http, key, turn(), x_api_key=other)
    assert refused.status_code == 401
    assert "two different valid keys" in refused.json()["error"]["message"]
    for secret in (key, other, login):
        assert secret not in gateway.log()


async def test_c12_a_key_that_ends_is_a_401_of_this_gateway_that_is_not_tried_again(
    http: httpx.AsyncClient, admin: Admin
) -> None:
    short = await admin.generate(duration="1s")
    await asyncio.sleep(1.1)
    for wrong, code in ((short, "expired"), ("sk-kh-" + "0" * 49, "refused by this gateway, not by a provider")):
        answer = await send(http, wrong, turn())
        assert (answer.status_code, answer.headers["x-should-retry"]) == (401, "false")
        assert answer.json()["error"]["type"] == "authentication_error"
        assert code in answer.json()["error"]["message"]
