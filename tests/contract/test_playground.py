"""The playground of a running gateway: real calls, as the person, within the same bounds as any."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.base.ids import new_id
from tests.fakes.gateway_process import MASTER_KEY, Admin, GatewayProcess
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream

pytestmark = [pytest.mark.services, pytest.mark.contract]
_TOKEN = re.compile(r'name="form_token" value="([^"]+)"')
_TURN = {"model": "claude-sonnet-4-6", "text": "Say <b>hello</b>.", "max_tokens": "50"}
PASSWORD = "correct horse battery staple"


class Visitor:
    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.user_id = ""

    async def send(self, path: str, fields: dict[str, Any], of: str = "/ui/playground") -> httpx.Response:
        found = _TOKEN.search((await self.client.get(of)).text)
        assert found is not None
        return await self.client.post(path, data={**fields, "form_token": found[1]})

    async def bill(self, request_id: str) -> str:
        for _ in range(300):
            answer = await self.client.get("/ui/playground/receipt", params={"id": request_id})
            if answer.status_code != 204:
                return answer.text
            await asyncio.sleep(0.1)
        raise AssertionError("no receipt")


@pytest.fixture(scope="module")
async def visitor(gateway: GatewayProcess) -> AsyncIterator[Visitor]:
    """An owner, signed in."""
    async with httpx.AsyncClient(base_url=gateway.base_url) as client:
        visitor = Visitor(client)
        email = f"{new_id('owner')}@example.com"
        fields = {"admin_key": MASTER_KEY, "email": email, "password": PASSWORD, "again": PASSWORD}
        assert (await visitor.send("/ui/owner", fields, of="/ui/owner")).status_code == 303
        found = re.search(r"<code>(user_\w+)</code>", (await client.get("/ui/account")).text)
        assert found is not None
        visitor.user_id = found[1]
        yield visitor


async def key_of_the_playground(admin: Admin, visitor: Visitor) -> dict[str, Any]:
    asked = {"user_id": visitor.user_id, "size": "100", "return_full_object": "true"}
    found = (await admin.client.get("/key/list", params=asked)).json()["keys"]
    [key] = [key for key in found if key["allowed_routes"] == ["/ui/playground"]]
    return dict(key)


async def test_a_turn_is_streamed_and_booked_on_a_key_of_the_person(
    visitor: Visitor, admin: Admin, upstream: RecordingUpstream
) -> None:
    fields = _TURN | {"system": "Be brief.", "temperature": "0.2", "turn_role": ["user", "assistant"]}
    answer = await visitor.send("/ui/playground/answer", fields | {"turn_text": ["Earlier", "Said"]})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert '"text_delta"' in answer.text
    sent = upstream.requests[-1].json()
    assert [turn["content"] for turn in sent["messages"]] == ["Earlier", "Said", "Say <b>hello</b>."]
    assert (sent["system"], sent["temperature"], sent["max_tokens"]) == ("Be brief.", 0.2, 50)
    assert "tools" not in sent
    bill = await visitor.bill(answer.headers["request-id"])
    assert "$0." in bill
    key = await key_of_the_playground(admin, visitor)
    [row] = await admin.receipts_until(key["token"], answer.headers["request-id"])
    assert row["user"] == key["user_id"]
    await visitor.send("/ui/playground/answer", _TURN)
    assert (await key_of_the_playground(admin, visitor))["token"] == key["token"]


async def test_without_a_script_the_answer_is_a_whole_page(visitor: Visitor) -> None:
    page = await visitor.send("/ui/playground", _TURN | {"turn_role": "user", "turn_text": "Before"})
    assert page.status_code == 200
    assert "Say &lt;b&gt;hello&lt;/b&gt;." in page.text
    assert 'name="turn_text" value="Before"' in page.text
    assert "tokens in" in page.text
    wrong = await visitor.send("/ui/playground", _TURN | {"temperature": "hot"})
    assert wrong.status_code == 422
    assert "the temperature is &#34;hot&#34;" in wrong.text.lower()
    assert "Say &lt;b&gt;hello&lt;/b&gt;.</textarea>" in wrong.text


async def test_a_conversation_goes_on_for_as_long_as_its_text_may_be_sent(
    visitor: Visitor, upstream: RecordingUpstream
) -> None:
    turns = {"turn_role": ["user", "assistant"] * 300, "turn_text": ["Again", "Said"] * 300}
    assert (await visitor.send("/ui/playground/answer", _TURN | turns)).status_code == 200
    assert len(upstream.requests[-1].json()["messages"]) == 601
    for path in ("/ui/playground/answer", "/ui/playground"):
        refused = await visitor.send(path, _TURN | {"turn_role": "user", "turn_text": "x" * 1024 * 1024})
        assert (refused.status_code, "Clear begins a new one" in refused.text) == (413, True)


async def test_what_bounds_the_key_bounds_the_playground(visitor: Visitor, admin: Admin) -> None:
    await visitor.send("/ui/playground/answer", _TURN)
    key = await key_of_the_playground(admin, visitor)
    changes: list[tuple[dict[str, Any], int, str]] = [
        ({"models": ["claude-haiku-4-5"]}, 403, "claude-sonnet-4-6"),
        ({"models": [], "max_budget": 0}, 402, "budget"),
        ({"max_budget": None, "blocked": True}, 401, "is blocked"),
    ]
    for change, status, words in changes:
        await admin.post("/key/update", key=key["token"], **change)
        refused = await visitor.send("/ui/playground/answer", _TURN)
        assert (refused.status_code, words in refused.json()["message"]) == (status, True), refused.text
    await admin.post("/key/unblock", key=key["token"])
    assert (await visitor.send("/ui/playground/answer", _TURN)).status_code == 200


async def test_a_new_secret_of_the_key_opens_nothing_else(visitor: Visitor, admin: Admin) -> None:
    await visitor.send("/ui/playground/answer", _TURN)
    key = await key_of_the_playground(admin, visitor)
    secret = (await admin.post(f"/key/{key['token']}/regenerate")).json()["key"]
    for path in ("/v1/messages", "/v1/chat/completions"):
        body = {"model": "claude-sonnet-4-6", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}
        answer = await visitor.client.post(path, json=body, headers={"x-api-key": secret})
        assert answer.status_code == 403, answer.text


async def test_a_providers_refusal_is_told_in_words(visitor: Visitor, upstream: RecordingUpstream) -> None:
    upstream.default = Script(error=401, message="invalid x-api-key")
    refused = await visitor.send("/ui/playground/answer", _TURN)
    assert refused.status_code == 502
    assert refused.json() == {"message": "The provider answered 401: invalid x-api-key."}


async def test_nobody_else_sends_in_the_name_of_who_is_signed_in(visitor: Visitor, gateway: GatewayProcess) -> None:
    forged = await visitor.client.post("/ui/playground/answer", data=_TURN)
    assert forged.status_code == 403
    other = await visitor.client.post("/ui/playground/answer", data=_TURN, headers={"sec-fetch-site": "cross-site"})
    assert other.status_code == 403
    async with httpx.AsyncClient(base_url=gateway.base_url) as stranger:
        answer = await stranger.post("/ui/playground/answer", data=_TURN)
        assert (answer.status_code, answer.json()) == (401, {"sign_in": "/ui/sign-in?next=/ui/playground"})


async def test_the_connect_page_tells_why_a_call_was_refused(visitor: Visitor, admin: Admin) -> None:
    alias = new_id("mistaken")
    secret = await admin.generate(models=["gpt-5"], key_alias=alias)
    key_id = (await admin.client.get("/key/list", params={"key_alias": alias})).json()["keys"][0]
    body = {"model": "claude-sonnet-4-6", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}
    await visitor.client.post("/v1/messages", json=body, headers={"x-api-key": secret})
    told = ""
    for _ in range(300):
        told = (await visitor.client.get("/ui/connect/check", params={"key": key_id})).text
        if "Refused" in told:
            break
        await asyncio.sleep(0.1)
    assert "claude-sonnet-4-6" in told
    assert "Choose one of this key" in told
