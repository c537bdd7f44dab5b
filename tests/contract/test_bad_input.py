"""What a caller can get wrong on the wire: a clear 4xx in the shape of the API called, never a 500."""

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.fakes.gateway_process import MASTER_KEY, Admin, GatewayProcess
from tests.storage.ledger_support import until

pytestmark = [pytest.mark.services, pytest.mark.contract]

ANTHROPIC, OPENAI = "/v1/messages", "/v1/chat/completions"
OLLAMA = ("/api/chat", "/api/tags")
GEMINI = "/v1beta/models/claude-sonnet-4-6:generateContent"
DEEP = b'{"model":"claude-sonnet-4-6","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}"

BODIES = {
    "empty": b"",
    "broken": b'{"model": "claude-sonnet-4-6", ',
    "no object": b"[1, 2]",
    "NaN": b'{"model":"claude-sonnet-4-6","temperature":NaN}',
    "nested NaN": b'{"model":"claude-sonnet-4-6","messages":[{"a":NaN}]}',
    "lone surrogate": b'{"model":"claude-sonnet-4-6","messages":"\\ud800"}',
    "not UTF-8": b'{"model":"claude-sonnet-4-6","messages":"\xff\xfe"}',
    "trailing junk": b'{"model":"claude-sonnet-4-6"} x',
    "deep": DEEP,
    "model a number": b'{"model":5,"messages":[]}',
    "model missing": b'{"messages":[]}',
    "model null": b'{"model":null,"messages":[]}',
    "stream a text": b'{"model":"claude-sonnet-4-6","stream":"yes","messages":[]}',
    "max_tokens a text": b'{"model":"claude-sonnet-4-6","max_tokens":"many","messages":[]}',
    "unknown model": b'{"model":"claude-sonet-4.6","messages":[],"max_tokens":5}',
    "monstrous model": b'{"model":"' + b"x" * 10_000 + b'","messages":[],"max_tokens":5}',
    "long model": b'{"model":"' + b"x" * 500 + b'","messages":[],"max_tokens":5}',
}


@pytest.fixture(scope="module")
async def client(gateway: GatewayProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=gateway.base_url, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture(scope="module")
async def key(gateway: GatewayProcess) -> str:
    admin = Admin(gateway.base_url)
    secret = await admin.generate()
    await admin.client.aclose()
    return secret


def assert_shape(path: str, answer: httpx.Response) -> None:
    body = answer.json()
    assert answer.headers["request-id"]
    if path in OLLAMA:
        assert isinstance(body["error"], str)
        return
    assert isinstance(body["error"]["message"], str)
    assert len(body["error"]["message"]) < 1000
    assert "Traceback" not in answer.text
    if path.startswith(("/v1/messages", "/anthropic")):
        assert body["type"] == "error"
        assert body["request_id"] == answer.headers["request-id"]
    elif path.startswith("/v1beta"):
        assert set(body["error"]) == {"code", "details", "message", "status"}
        assert body["error"]["code"] == answer.status_code
    else:
        assert set(body["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("path", [ANTHROPIC, "/anthropic/v1/messages", "/v1/messages/count_tokens", OPENAI])
@pytest.mark.parametrize("name", BODIES)
async def test_a_body_that_cannot_be_served_is_a_clear_4xx(
    client: httpx.AsyncClient, key: str, path: str, name: str
) -> None:
    answer = await client.post(path, content=BODIES[name], headers={"x-api-key": key})
    assert answer.status_code == (404 if name in {"unknown model", "long model"} else 400), answer.text
    assert_shape(path, answer)


@pytest.mark.parametrize("path", [ANTHROPIC, OPENAI])
async def test_a_body_of_65_megabytes_is_too_large_whether_it_says_so_or_not(
    client: httpx.AsyncClient, key: str, path: str
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(65):
            yield b" " * 2**20

    for content in (b" " * (65 * 2**20), chunks()):
        answer = await client.post(path, content=content, headers={"x-api-key": key})
        assert answer.status_code == 413, answer.text
        assert "64 MiB" in answer.json()["error"]["message"]
        assert_shape(path, answer)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/messages", 405),
        ("DELETE", "/v1/chat/completions", 405),
        ("PUT", "/v1/models", 405),
        ("POST", "/v1/nonsense", 404),
        ("POST", "/v1/messages/nonsense", 404),
        ("GET", "/nonsense", 404),
        ("GET", GEMINI, 405),
        ("POST", "/v1beta/models/claude-sonnet-4-6:fly", 404),
        ("GET", "/v1beta/nonsense", 404),
        ("GET", "/api/chat", 405),
        ("GET", "/api/tags", 404),
        ("GET", "/api/v1/nonsense", 404),
        ("GET", "/v1/completions/nonsense", 404),
        ("GET", "/key/nonsense", 404),
        ("GET", "/key/generate", 405),
        ("GET", "/v1/models/nonsense", 404),
        ("GET", "/anthropic/v1/models/nonsense", 404),
    ],
)
async def test_an_unknown_route_and_a_wrong_method_have_the_shape_too(
    client: httpx.AsyncClient, key: str, method: str, path: str, status: int
) -> None:
    answer = await client.request(method, path, headers={"x-api-key": key})
    assert answer.status_code == status, answer.text
    assert (status == 405) == ("allow" in answer.headers)
    assert_shape(path, answer)


@pytest.mark.parametrize(
    ("method", "path", "body", "said"),
    [
        ("POST", ANTHROPIC, b"[1]", "no object; send one"),
        ("POST", ANTHROPIC, b'{"model":"gpt-5","messages":"x"}', '"messages" must be an array, not a string'),
        (
            "POST",
            ANTHROPIC,
            b'{"model":"gpt-5","messages":[{"role":"user","content":5}]}',
            '"messages.0.content" must be a string or an array, not a whole number',
        ),
        (
            "POST",
            ANTHROPIC,
            b'{"model":"gpt-5","messages":[{"role":"king","content":"x"}]}',
            '"messages.0.role" is "king"; it must be user, assistant or system',
        ),
        ("POST", ANTHROPIC, b'{"model":"gpt-5","max_tokens":-1}', '"max_tokens" is -1, and must be from 0 to'),
        ("POST", OPENAI, b'{"model":"claude-sonnet-4-6","messages":7}', '"messages" must be an array, not a whole'),
        ("POST", "/v1/responses", b'{"model":"claude-sonnet-4-6","input":5}', '"input" must be an array, not a whole'),
        ("POST", "/api/chat", b'{"model":"claude-sonnet-4-6"}', 'send "messages" to /api/chat'),
        ("GET", "/v1/messages/batches?limit=x", b"", '"limit" is "x"; give a whole number from 1 to'),
        ("GET", "/v1/nonsense", b"", "there are POST /v1/chat/completions"),
        ("GET", "/key/generate", b"", "/key/generate takes POST, not GET"),
    ],
)
async def test_a_refusal_names_the_thing_the_value_and_the_next_step(
    client: httpx.AsyncClient, key: str, method: str, path: str, body: bytes, said: str
) -> None:
    answer = await client.request(method, path, content=body, headers={"x-api-key": key})
    assert 400 <= answer.status_code < 500
    error = answer.json()["error"]
    assert said in (error if isinstance(error, str) else error["message"])


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/key/generate", b"{", "the body is not valid JSON: it ends too early (1 bytes were read)"),
        ("/key/generate", b"\xff", "the body is not UTF-8 (byte 0)"),
        ("/key/generate", b'{"a":' + b"[" * 2000 + b"]" * 2000 + b"}", "nested too deeply"),
        ("/key/generate", b'{"a":"' + b"x" * 1_000_000 + b'"}', "larger than 1000000 bytes"),
        ("/spend/report?start_date=2026-11-31&end_date=2026-12-01", None, "no day of the calendar"),
        ("/spend/report?start_date=0001-01-01&end_date=2026-12-01", None, "give a year from 2000 to 2999"),
    ],
)
async def test_so_does_one_of_the_admin_api(
    client: httpx.AsyncClient, path: str, body: bytes | None, said: str
) -> None:
    headers = {"authorization": f"Bearer {MASTER_KEY}"}
    answer = await client.request("GET" if body is None else "POST", path, content=body, headers=headers)
    assert 400 <= answer.status_code < 500
    assert said in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", [ANTHROPIC, OPENAI, "/v1/models", "/anthropic/v1/models"])
async def test_no_key_and_a_wrong_key_are_a_401_that_is_not_worth_a_retry(client: httpx.AsyncClient, path: str) -> None:
    for headers in ({}, {"x-api-key": "sk-kh-nonsense"}, {"authorization": "Bearer hello"}):
        method = "GET" if "models" in path else "POST"
        answer = await client.request(method, path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["x-should-retry"] == "false"
        assert_shape(path, answer)


async def test_probes_need_no_credential(client: httpx.AsyncClient) -> None:
    assert (await client.head("/")).status_code == 200
    assert (await client.head("/api/hello")).status_code == 200
    assert (await client.get("/health/liveliness")).json() == "I'm alive!"
    assert (await client.get("/health/readiness")).json()["status"] == "healthy"
    assert b"keyhouse_requests" in (await client.get("/metrics")).content


async def test_thousands_of_bad_requests_leave_no_memory_behind(
    client: httpx.AsyncClient, key: str, gateway: GatewayProcess
) -> None:
    async def bombard(count: int) -> None:
        for _ in range(count // 40):
            await asyncio.gather(
                *(client.post(ANTHROPIC, content=BODIES["nested NaN"], headers={"x-api-key": key}) for _ in range(20)),
                *(client.post(OPENAI, content=b"", headers={"x-api-key": "sk-kh-wrong"}) for _ in range(20)),
            )

    await bombard(800)
    before_bytes = resident_bytes(gateway)
    await bombard(1600)
    assert resident_bytes(gateway) - before_bytes < 8 * 2**20


def resident_bytes(gateway: GatewayProcess) -> int:
    assert gateway.process is not None
    with open(f"/proc/{gateway.process.pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * 4096


async def test_the_log_holds_neither_a_key_nor_a_prompt(
    client: httpx.AsyncClient, key: str, gateway: GatewayProcess
) -> None:
    body = {
        "model": "claude-sonnet-4-6",
        "max_tokens": 5,
        "messages": [{"role": "user", "content": "planted-prompt-words"}],
    }
    assert (await client.post(ANTHROPIC, content=json.dumps(body), headers={"x-api-key": key})).status_code == 200

    async def is_logged() -> bool:
        return '"event":"request"' in gateway.log().replace(" ", "")

    # Finished calls are noted together, a moment later.
    await until(is_logged)
    log = gateway.log()
    for secret in (key, MASTER_KEY, "planted-prompt-words", "sk-ant-the-providers-own-key"):
        assert secret not in log
