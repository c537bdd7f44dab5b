"""Anthropic's own API through the gateway: batches and files as the official SDK asks for them, and who may see them.

The rows of the seed that these tests stand for are in their names.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import anthropic
import httpx
import pytest

from app.base.ids import new_id
from tests.contract.conftest import PROVIDER_KEY
from tests.contract.test_budgets_hold import INPUT_USD, OUTPUT_USD
from tests.fakes.bill import BillEntry
from tests.fakes.gateway_process import Admin, GatewayProcess
from tests.fakes.minutes import within_one_minute
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream

pytestmark = [pytest.mark.services, pytest.mark.contract]

BETAS = {"anthropic-beta": "message-batches-2024-09-24"}
TEXT = "Grüße aus Zürich 👋"


def batch_price(entry: BillEntry) -> Decimal:
    return (entry.input * INPUT_USD + entry.output * OUTPUT_USD) / 2


def requests_of(count: int, *, model: str = "claude-sonnet-4-6", words: str = "") -> list[Any]:
    return [
        {
            "custom_id": f"request-{number}",
            "params": {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": f"{TEXT}{words}"}]},
        }
        for number in range(count)
    ]


@pytest.fixture(autouse=True)
def _fresh_bill(upstream: RecordingUpstream) -> None:
    upstream.bill.entries.clear()
    upstream.objects.ends_at_once = True
    upstream.default = Script(input_tokens=101, output_tokens=33)


@pytest.fixture
async def key(admin: Admin) -> str:
    return await admin.generate()


Connect = Callable[..., anthropic.AsyncAnthropic]


@pytest.fixture
async def sdk(gateway: GatewayProcess) -> AsyncIterator[Connect]:
    """The official SDK for a key, and where below the gateway its base URL leads."""
    opened: list[anthropic.AsyncAnthropic] = []

    def connect(key: str, below: str = "/anthropic") -> anthropic.AsyncAnthropic:
        opened.append(anthropic.AsyncAnthropic(api_key=key, base_url=gateway.base_url + below, max_retries=0))
        return opened[-1]

    yield connect
    for client in opened:
        await client.close()


@pytest.fixture
def client(sdk: Connect, key: str) -> anthropic.AsyncAnthropic:
    return sdk(key)


@pytest.fixture
async def plain(gateway: GatewayProcess, key: str) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": f"bearer {key}", "anthropic-version": "2023-06-01"}
    async with httpx.AsyncClient(base_url=gateway.base_url, headers=headers, timeout=30, trust_env=False) as client:
        yield client


async def make_batch(plain: httpx.AsyncClient, count: int, **fields: Any) -> str:
    answer = await plain.post("/v1/messages/batches", json={"requests": requests_of(count, **fields)})
    assert answer.status_code == 200, answer.text
    assert (await plain.get(f"/v1/messages/batches/{answer.json()['id']}")).status_code == 200
    batch_id: str = answer.json()["id"]
    return batch_id


@pytest.mark.parametrize("below", ["", "/anthropic"])
async def test_seed_e5_batches_run_from_creation_to_deletion_with_the_official_sdk(
    sdk: Connect, admin: Admin, upstream: RecordingUpstream, key: str, below: str
) -> None:
    client = sdk(key, below)
    made = await client.messages.batches.create(requests=requests_of(5))
    assert made.processing_status == "in_progress"
    ended = await client.messages.batches.retrieve(made.id)
    assert (ended.processing_status, ended.request_counts.succeeded) == ("ended", 5)
    assert [batch.id async for batch in client.messages.batches.list(limit=2)] == [made.id]
    results = [line async for line in await client.messages.batches.results(made.id)]
    assert sorted(line.custom_id for line in results) == [f"request-{number}" for number in range(5)]
    rows = await admin.receipts(key, 5)
    assert sum(Decimal(str(row["spend"])) for row in rows) == sum(map(batch_price, upstream.bill.entries)) > 0
    assert {row["request_id"] for row in rows} == {f"{made.id}:request-{number}" for number in range(5)}
    [price] = {row["metadata"]["price_version"] for row in rows}
    assert price.endswith(":batch")
    await client.messages.batches.delete(made.id)
    with pytest.raises(anthropic.NotFoundError):
        await client.messages.batches.retrieve(made.id)
    assert [batch.id async for batch in client.messages.batches.list()] == []
    for request in upstream.requests:
        assert request.header("x-api-key") == PROVIDER_KEY
        assert key not in str(request.headers)


async def test_seed_e5_batches_with_the_beta_header_and_lower_case_bearer_pass_untouched(
    plain: httpx.AsyncClient, upstream: RecordingUpstream
) -> None:
    params = b'{"model":"claude-sonnet-4-6" ,"max_tokens":5,"x":1.0,"messages":[]}'
    body = b'{ "requests":[ {"custom_id":"a" ,"params": %b}\n] }' % params
    answer = await plain.post("/anthropic/v1/messages/batches?beta=true", content=body, headers=BETAS)
    assert answer.content == bytes(upstream.responses[-1].body)
    received = upstream.requests[-1]
    assert (received.body, received.target) == (body, "/v1/messages/batches?beta=true")
    assert received.header("anthropic-beta") == BETAS["anthropic-beta"]
    assert received.header("authorization") is None


async def test_seed_e5_a_batch_names_the_hosts_models_and_the_receipts_those_that_were_asked_for(
    plain: httpx.AsyncClient, admin: Admin, upstream: RecordingUpstream, key: str
) -> None:
    requests = [*requests_of(2, model="team-sonnet"), *requests_of(1, model="claude-haiku-4-5")]
    requests[2]["custom_id"] = "other"
    requests[2]["params"]["metadata"] = {"user_id": "someone"}
    answer = await plain.post("/v1/messages/batches", json={"requests": requests}, headers={"x-litellm-tags": "night"})
    sent = upstream.requests[-1].json()["requests"]
    assert [item["params"]["model"] for item in sent] == ["claude-sonnet-4-6", "claude-sonnet-4-6", "claude-haiku-4-5"]
    batch_id = answer.json()["id"]
    await plain.get(f"/v1/messages/batches/{batch_id}")
    results = await plain.get(f"/v1/messages/batches/{batch_id}/results")
    assert results.content == bytes(upstream.responses[-1].body)
    rows = {row["request_id"].partition(":")[2]: row for row in await admin.receipts(key, 3)}
    assert [rows[name]["model_group"] for name in ("request-0", "request-1", "other")] == [
        "team-sonnet",
        "team-sonnet",
        "claude-haiku-4-5",
    ]
    assert rows["other"]["end_user"] == "someone"
    assert all("night" in row["request_tags"] for row in rows.values())


async def test_only_what_succeeded_costs(plain: httpx.AsyncClient, admin: Admin, key: str) -> None:
    requests = [
        *requests_of(1),
        {"custom_id": "failed", "params": requests_of(1, words=" FAKE: error=400")[0]["params"]},
        {"custom_id": "late", "params": requests_of(1, words=" FAKE: message=expired")[0]["params"]},
    ]
    batch_id = (await plain.post("/v1/messages/batches", json={"requests": requests})).json()["id"]
    counts = (await plain.get(f"/v1/messages/batches/{batch_id}")).json()["request_counts"]
    assert (counts["succeeded"], counts["errored"], counts["expired"]) == (1, 1, 1)
    assert len((await plain.get(f"/v1/messages/batches/{batch_id}/results")).content.splitlines()) == 3
    [row] = await admin.receipts(key, 1)
    assert row["request_id"] == f"{batch_id}:request-0"


async def test_results_lead_to_the_gateway_and_never_to_the_provider(plain: httpx.AsyncClient) -> None:
    batch_id = await make_batch(plain, 1)
    described = (await plain.get(f"/anthropic/v1/messages/batches/{batch_id}")).json()
    assert described["results_url"] == f"/v1/messages/batches/{batch_id}/results"
    [listed] = (await plain.get("/v1/messages/batches")).json()["data"]
    assert listed["results_url"] == described["results_url"]
    assert (await plain.get(described["results_url"])).status_code == 200


async def test_results_read_again_and_at_once_are_booked_once_and_count_once(
    gateway: GatewayProcess, admin: Admin, upstream: RecordingUpstream
) -> None:
    key = await admin.generate(max_budget=10)
    headers = {"x-api-key": key}
    async with httpx.AsyncClient(base_url=gateway.base_url, headers=headers, timeout=30, trust_env=False) as plain:
        batch_id = await make_batch(plain, 40)
        readings = await asyncio.gather(*(plain.get(f"/v1/messages/batches/{batch_id}/results") for _ in range(4)))
        assert {reading.status_code for reading in readings} == {200}
        assert len(await admin.receipts(key, 40)) == 40
        await plain.get(f"/v1/messages/batches/{batch_id}/results")
        await asyncio.sleep(1.5)  # longer than the drain takes, were there anything to drain
        rows = await admin.receipts(key, 40)
        assert len(rows) == 40
        billed = sum(map(batch_price, upstream.bill.entries))
        assert sum(Decimal(str(row["spend"])) for row in rows) == billed
        # The counter of the budget says the same: what is refused as too much tells what is left.
        answer = await plain.post(
            "/v1/messages/batches",
            json={"requests": [{"custom_id": "a", "params": {**requests_of(1)[0]["params"], "max_tokens": 10**7}}]},
        )
        assert answer.status_code == 400
        assert f"only {10 - billed:.6f}" in answer.json()["error"]["message"]


async def test_what_a_batch_costs_counts_on_the_budget_of_its_deployment_once(
    plain: httpx.AsyncClient, admin: Admin, upstream: RecordingUpstream, key: str
) -> None:
    name = new_id("model")
    params = {"model": "anthropic/claude-sonnet-4-6", "max_budget": 10, "budget_duration": "month"}
    body = {"model_name": name, "litellm_params": {**params, "api_key": "sk-ant-another"}}
    made = (await admin.client.post("/model/new", json=body)).json()
    batch_id = await make_batch(plain, 5, model=name)
    for _ in range(2):
        await plain.get(f"/v1/messages/batches/{batch_id}/results")
    await admin.receipts(key, 5)
    standing = (await admin.client.get("/provider/budgets")).json()["deployments"][made["model_id"]]
    assert Decimal(str(standing["spend"])) == sum(map(batch_price, upstream.bill.entries)) > 0
    beyond = [{"custom_id": "a", "params": {**requests_of(1, model=name)[0]["params"], "max_tokens": 10**7}}]
    answer = await plain.post("/v1/messages/batches", json={"requests": beyond})
    assert answer.status_code == 400
    left = 10 - sum(map(batch_price, upstream.bill.entries))
    assert f'of the deployment "{made["model_id"]}" only {left:.6f} USD' in answer.json()["error"]["message"]
    await admin.post("/model/delete", id=made["model_id"])


async def test_a_gateway_killed_while_results_are_read_books_each_result_once(
    gateway: GatewayProcess, admin: Admin, upstream: RecordingUpstream, key: str, plain: httpx.AsyncClient
) -> None:
    batch_id = await make_batch(plain, 60)
    path = f"/v1/messages/batches/{batch_id}/results"
    for pieces in (9, 31):
        upstream.default = Script(delay_ms=10)
        seen = b""
        with contextlib.suppress(httpx.HTTPError):
            async with plain.stream("GET", path) as answer:
                async for chunk in answer.aiter_raw():
                    seen += chunk
                    if len(seen) > pieces * 700:
                        gateway.kill()  # in this very moment: the provider, in this loop, says no more meanwhile
        assert gateway.process is not None
        assert gateway.process.poll() is not None
        await asyncio.to_thread(gateway.start)
        # What the client has seen is booked, though nobody has read the rest.
        names = {json.loads(line)["custom_id"] for line in seen.split(b"\n")[:-1]}
        rows = await admin.receipts(key, len(names))
        assert {f"{batch_id}:{name}" for name in names} <= {row["request_id"] for row in rows}
        assert len(rows) < 60
    upstream.default = Script()
    assert len((await plain.get(path)).content.splitlines()) == 60
    rows = await admin.receipts(key, 60)
    assert len(rows) == len({row["request_id"] for row in rows}) == 60
    assert sum(Decimal(str(row["spend"])) for row in rows) == sum(map(batch_price, upstream.bill.entries))


async def test_a_client_that_hangs_up_has_booked_what_it_saw(
    admin: Admin, upstream: RecordingUpstream, key: str, plain: httpx.AsyncClient
) -> None:
    batch_id = await make_batch(plain, 30)
    path = f"/v1/messages/batches/{batch_id}/results"
    upstream.default = Script(delay_ms=10)
    seen = b""
    async with plain.stream("GET", path) as answer:
        async for chunk in answer.aiter_raw():
            seen += chunk
            if len(seen) > 5000:
                break
    names = {json.loads(line)["custom_id"] for line in seen.split(b"\n")[:-1]}
    rows = await admin.receipts(key, len(names))
    assert {f"{batch_id}:{name}" for name in names} <= {row["request_id"] for row in rows}
    upstream.default = Script()
    await plain.get(path)
    assert len(await admin.receipts(key, 30)) == 30


async def test_a_batch_that_is_deleted_unread_is_booked_first(
    admin: Admin, upstream: RecordingUpstream, key: str, plain: httpx.AsyncClient
) -> None:
    batch_id = await make_batch(plain, 3)
    assert (await plain.delete(f"/v1/messages/batches/{batch_id}")).json()["type"] == "message_batch_deleted"
    assert len(await admin.receipts(key, 3)) == 3
    upstream.objects.ends_at_once = False
    running = await make_batch(plain, 1)
    assert (await plain.delete(f"/v1/messages/batches/{running}")).status_code == 400
    assert (await plain.post(f"/v1/messages/batches/{running}/cancel")).json()["processing_status"] == "canceling"


async def test_anothers_batch_is_answered_like_one_that_does_not_exist(
    gateway: GatewayProcess, sdk: Connect, admin: Admin, upstream: RecordingUpstream
) -> None:
    team = (await admin.post("/team/new", team_alias="batchers")).json()["team_id"]
    mine, colleague = await admin.generate(team_id=team), await admin.generate(team_id=team)
    stranger = await admin.generate()
    clients = [sdk(key, "") for key in (mine, colleague, stranger)]
    made = await clients[0].messages.batches.create(requests=requests_of(1))
    assert (await clients[1].messages.batches.retrieve(made.id)).id == made.id
    assert [batch.id async for batch in clients[1].messages.batches.list()] == [made.id]
    assert [batch.id async for batch in clients[2].messages.batches.list()] == []
    asked = len(upstream.requests)
    async with httpx.AsyncClient(base_url=gateway.base_url, trust_env=False) as plain:
        for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/results")):
            said = set()
            for name in (made.id, "msgbatch_never"):
                answer = await plain.request(
                    method, f"/v1/messages/batches/{name}{path}", headers={"x-api-key": stranger}
                )
                assert answer.status_code == 404
                said.add(answer.json()["error"]["message"].replace(name, "…"))
            assert len(said) == 1
    assert len(upstream.requests) == asked
    # A colleague reads, and whoever made it pays.
    [line async for line in await clients[1].messages.batches.results(made.id)]
    assert len(await admin.receipts(mine, 1)) == 1


async def test_a_batch_from_before_the_gateway_is_there_for_the_master_key_alone(
    gateway: GatewayProcess, admin: Admin, upstream: RecordingUpstream, plain: httpx.AsyncClient
) -> None:
    async with httpx.AsyncClient(base_url=upstream.base_url, trust_env=False) as direct:
        body = {"requests": requests_of(1)}
        batch_id = (await direct.post("/v1/messages/batches", json=body)).json()["id"]
    assert (await plain.get(f"/v1/messages/batches/{batch_id}")).status_code == 404
    answer = await admin.client.get(f"/v1/messages/batches/{batch_id}")
    assert answer.json()["results_url"].startswith("/v1/")
    assert len((await admin.client.get(answer.json()["results_url"])).content.splitlines()) == 1
    listed = (await admin.client.get("/anthropic/v1/messages/batches")).json()["data"]
    assert batch_id in {batch["id"] for batch in listed}
    assert not [batch for batch in listed if "api.anthropic.com" in str(batch["results_url"])]


async def test_a_list_longer_than_a_page_is_read_to_its_end(client: anthropic.AsyncAnthropic) -> None:
    made = [(await client.messages.batches.create(requests=requests_of(1))).id for _ in range(5)]
    assert [batch.id async for batch in client.messages.batches.list(limit=2)] == made[::-1]
    page = await client.messages.batches.list(limit=2, before_id=made[0])
    assert [batch.id for batch in page.data] == [made[2], made[1]]
    assert page.has_more


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"requests": []}, '"requests" is empty'),
        ({"requests": requests_of(1, model="gpt-5")}, "not served by a provider that takes batches"),
        ({"requests": requests_of(1, model="unheard-of")}, 'requests.0 (custom_id "request-0")'),
        ({"requests": [*requests_of(1), *requests_of(1)]}, 'custom_id "request-0" stands at'),
        ({"requests": [{"custom_id": "a", "params": {"max_tokens": 5}}]}, 'requests.0.params (custom_id "a"): "model"'),
    ],
)
async def test_a_batch_that_cannot_be_sent_is_refused_whole(
    plain: httpx.AsyncClient, upstream: RecordingUpstream, body: Any, says: str
) -> None:
    answer = await plain.post("/v1/messages/batches", json=body)
    assert answer.status_code in {400, 404}
    assert says in answer.json()["error"]["message"]
    assert not upstream.requests


async def test_a_model_that_the_key_may_not_use_refuses_the_whole_batch(
    sdk: Connect, admin: Admin, upstream: RecordingUpstream
) -> None:
    client = sdk(await admin.generate(models=["claude-haiku-4-5"]))
    requests = [*requests_of(1, model="claude-haiku-4-5"), {**requests_of(1)[0], "custom_id": "forbidden"}]
    with pytest.raises(anthropic.BadRequestError, match=r"custom_id .*forbidden.* is not allowed for key"):
        await client.messages.batches.create(requests=requests)
    assert not upstream.requests


async def test_a_budget_that_is_spent_or_too_small_refuses_the_batch_with_the_numbers(
    sdk: Connect, admin: Admin, upstream: RecordingUpstream
) -> None:
    key = await admin.generate(max_budget=0.001)
    client = sdk(key)
    with pytest.raises(anthropic.BadRequestError, match=r"may cost up to 0\.00\d+ USD at the batch price.*0\.001000"):
        await client.messages.batches.create(requests=requests_of(3))
    assert not upstream.requests
    upstream.default = Script(input_tokens=101, output_tokens=500)
    await client.messages.create(
        model="claude-sonnet-4-6", max_tokens=50, messages=[{"role": "user", "content": "Hello"}]
    )
    await admin.receipts(key, 1)
    with pytest.raises(anthropic.RateLimitError, match="spend limit reached"):
        await client.messages.batches.create(requests=requests_of(1))


async def test_a_batch_is_one_request_of_the_minute(sdk: Connect, admin: Admin) -> None:
    client = sdk(await admin.generate(rpm_limit=1, tpm_limit=10))
    await within_one_minute()
    await client.messages.batches.create(requests=requests_of(20))
    with pytest.raises(anthropic.RateLimitError, match="1 request per minute"):
        await client.messages.batches.create(requests=requests_of(1))


async def test_files_are_their_owners_and_their_bytes_untouched(
    sdk: Connect, admin: Admin, upstream: RecordingUpstream, client: anthropic.AsyncAnthropic
) -> None:
    content = bytes(range(256)) * 40
    stranger = sdk(await admin.generate())
    made = await client.beta.files.upload(file=("notes.bin", content, "application/octet-stream"))
    assert b'name="file"; filename="notes.bin"' in upstream.requests[-1].body
    assert str(upstream.requests[-1].header("content-type")).startswith("multipart/form-data; boundary=")
    assert (await client.beta.files.retrieve_metadata(made.id)).size_bytes == len(content)
    assert await (await client.beta.files.download(made.id)).read() == content
    assert [file.id async for file in client.beta.files.list()] == [made.id]
    assert [file.id async for file in stranger.beta.files.list()] == []
    assert [file.id async for file in client.files.list(ids=[made.id, "file_other"])] == [made.id]
    for ask in (stranger.beta.files.retrieve_metadata, stranger.beta.files.download, stranger.beta.files.delete):
        with pytest.raises(anthropic.NotFoundError):
            await ask(made.id)
    await client.beta.files.delete(made.id)
    with pytest.raises(anthropic.NotFoundError):
        await client.beta.files.retrieve_metadata(made.id)


async def test_a_message_names_the_files_of_its_own_tenant_alone(
    sdk: Connect, admin: Admin, upstream: RecordingUpstream, client: anthropic.AsyncAnthropic
) -> None:
    made = await client.beta.files.upload(file=("notes.txt", b"x"))
    stranger = sdk(await admin.generate())
    asked: Any = {"model": "claude-sonnet-4-6", "max_tokens": 10}
    asked["messages"] = [
        {"role": "user", "content": [{"type": "document", "source": {"type": "file", "file_id": made.id}}]}
    ]
    await client.beta.messages.create(**asked)
    sent = len(upstream.requests)
    for ask in (
        stranger.beta.messages.create(**asked),
        stranger.beta.messages.count_tokens(model=asked["model"], messages=asked["messages"]),
        stranger.messages.batches.create(requests=[{"custom_id": "one", "params": asked}]),
    ):
        with pytest.raises(anthropic.NotFoundError, match=f'no file "{made.id}"'):
            await ask
    assert len(upstream.requests) == sent


async def test_a_list_of_files_is_read_page_by_page(client: anthropic.AsyncAnthropic) -> None:
    made = [(await client.beta.files.upload(file=(f"{number}.txt", b"x"))).id for number in range(3)]
    assert [file.id async for file in client.beta.files.list(limit=2)] == made[::-1]


async def test_seed_e4_tokens_are_counted_with_the_beta_header_forwarded(
    plain: httpx.AsyncClient, upstream: RecordingUpstream
) -> None:
    body = {"model": "claude-sonnet-4-6", "messages": [{"role": "user", "content": "Hello, world"}]}
    beta = {"anthropic-beta": "token-counting-2024-11-01"}
    answer = await plain.post("/anthropic/v1/messages/count_tokens", json=body, headers=beta)
    assert answer.json() == {"input_tokens": 101}
    assert upstream.requests[-1].header("anthropic-beta") == beta["anthropic-beta"]


@pytest.mark.parametrize("stream", [False, True])
async def test_seed_e2_e3_e6_e7_e8_messages_pass_with_a_lower_case_bearer(
    plain: httpx.AsyncClient, admin: Admin, upstream: RecordingUpstream, key: str, stream: bool
) -> None:
    body = {"model": "claude-sonnet-4-6", "max_tokens": 9, "stream": stream, "messages": []}
    answer = await plain.post("/anthropic/v1/messages", json=body, headers={"accept": "application/json"})
    assert answer.content == bytes(upstream.responses[-1].body)
    received = upstream.requests[-1]
    expected = {"anthropic-version": "2023-06-01", "accept": "application/json", "content-type": "application/json"}
    assert {name: received.header(name) for name in expected} == expected
    assert (received.header("x-api-key"), received.header("authorization")) == (PROVIDER_KEY, None)
    assert len(await admin.receipts(key, 1)) == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_seed_d69_a_prompt_of_the_claude_2_era_passes_and_is_booked_by_estimate(
    plain: httpx.AsyncClient, admin: Admin, upstream: RecordingUpstream, key: str, stream: bool
) -> None:
    body = {
        "model": "team-sonnet",
        "max_tokens_to_sample": 300,
        "prompt": "\n\nHuman: Hello, Claude\n\nAssistant:",
        "stream": stream,
    }
    answer = await plain.post("/anthropic/v1/complete", json=body)
    assert answer.status_code == 200
    assert answer.content == bytes(upstream.responses[-1].body)
    received = upstream.requests[-1]
    assert (received.path, received.json()) == ("/v1/complete", {**body, "model": "claude-sonnet-4-6"})
    [row] = await admin.receipts(key, 1)
    assert row["metadata"]["usage_source"] == "estimated"
    assert row["metadata"]["status"] == "ok"
    said = answer.text if stream else answer.json()["completion"]
    assert 0 < row["completion_tokens"] <= len(said.encode())
    assert row["spend"] > 0
