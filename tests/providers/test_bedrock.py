"""Requests to Bedrock over loopback: what is signed and how, and where the keys come from."""

import asyncio
import datetime
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anthropic
import botocore.auth
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from app.base.errors import UpstreamRejected
from app.base.secret import Secret
from app.providers.bedrock import BedrockUpstream
from app.providers.host_table import HOSTS
from app.providers.hosts import endpoint_url, generation_path
from app.providers.upstream import HttpUpstream
from tests.fakes.recording import RecordedRequest
from tests.providers.loopback import Loopback, Pieces, loopback, read, request_to

MODEL = "anthropic.claude-sonnet-4-20250514-v1:0"
KEYS = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
REGION = {"aws_region_name": "eu-central-1"}
OPTIONS = {**REGION, **KEYS}


@pytest.fixture
async def host() -> AsyncIterator[Loopback]:
    async with loopback() as running:
        running.answer_json({"id": "msg_1"})
        yield running


@pytest.fixture
async def bedrock() -> AsyncIterator[BedrockUpstream]:
    http = HttpUpstream()
    yield BedrockUpstream(http)
    await http.close()


def url_of(base: str, model: str = MODEL, *, stream: bool = False) -> str:
    speech = HOSTS["bedrock"].speaks[0]
    return endpoint_url(base, generation_path(speech, model, {}, stream=stream), speech.version_path)


def signature_expected(request: RecordedRequest, base: str, region: str = "eu-central-1") -> str:
    """What AWS would compute of what arrived, with botocore on this side of the wire."""
    given = request.header("authorization") or ""
    signed = given.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    headers = {name: request.header(name) for name in signed if name != "x-amz-date"}
    again = AWSRequest(request.method, base + request.target, headers=headers, data=request.body)
    at = request.header("x-amz-date")
    assert at is not None
    again.context["timestamp"] = at
    again.headers["X-Amz-Date"] = at
    signer = SigV4Auth(Credentials(*KEYS.values()), "bedrock", region)
    return str(signer.signature(signer.string_to_sign(again, signer.canonical_request(again)), again))


async def test_a_request_arrives_signed_as_aws_would_sign_it(host: Loopback, bedrock: BedrockUpstream) -> None:
    await read(await bedrock.send(request_to(url_of(host.url), b'{"max_tokens":1}', options=OPTIONS)))
    [request] = host.requests
    assert request.target == "/model/anthropic.claude-sonnet-4-20250514-v1%3A0/invoke"
    assert request.body == b'{"max_tokens":1}'
    given = request.header("authorization") or ""
    assert given.startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert "/eu-central-1/bedrock/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=" in given
    assert given.endswith("Signature=" + signature_expected(request, host.url))


async def test_the_colon_of_a_model_is_encoded_once_in_the_path_and_twice_in_what_is_signed(
    host: Loopback, bedrock: BedrockUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    canonical: list[str] = []
    original = SigV4Auth.canonical_request

    def note(signer: Any, request: Any) -> Any:
        canonical.append(original(signer, request))
        return canonical[-1]

    monkeypatch.setattr(SigV4Auth, "canonical_request", note)
    arn = "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-v1:0"
    await read(await bedrock.send(request_to(url_of(host.url, arn), options=OPTIONS)))
    assert host.requests[0].target.startswith("/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.")
    assert canonical[0].split("\n")[1].startswith("/model/arn%253Aaws%253Abedrock%253Aus-east-1%253A1%253Ainference")


async def test_a_session_token_is_sent_and_signed(host: Loopback, bedrock: BedrockUpstream) -> None:
    await read(await bedrock.send(request_to(url_of(host.url), options={**OPTIONS, "aws_session_token": "session"})))
    [request] = host.requests
    assert request.header("x-amz-security-token") == "session"
    assert "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token" in (request.header("authorization") or "")
    assert (request.header("authorization") or "").endswith(signature_expected(request, host.url))


async def test_a_bearer_token_is_sent_instead_of_a_signature(host: Loopback, bedrock: BedrockUpstream) -> None:
    await read(
        await bedrock.send(request_to(url_of(host.url), options={**OPTIONS, "aws_bearer_token": "bedrock-api-key-x"}))
    )
    [request] = host.requests
    assert request.header_values("authorization") == ["Bearer bedrock-api-key-x"]
    assert request.header("x-amz-date") is None


async def test_what_a_caller_says_of_signatures_is_replaced(host: Loopback, bedrock: BedrockUpstream) -> None:
    theirs = ((b"x-amz-date", b"20200101T000000Z"), (b"x-amz-security-token", b"theirs"), (b"accept", b"text/plain"))
    await read(await bedrock.send(request_to(url_of(host.url), b"{}", (*theirs, (b"x-amz-meta", b"1")), OPTIONS)))
    [request] = host.requests
    assert request.header_values("accept") == ["application/json"]
    assert len(request.header_values("x-amz-date")) == 1
    assert request.header("x-amz-security-token") is None
    assert "SignedHeaders=content-type;host;x-amz-date;x-amz-meta" in (request.header("authorization") or "")
    assert (request.header("authorization") or "").endswith(signature_expected(request, host.url))


async def test_the_first_vector_of_aws_own_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    """``get-vanilla`` of the suite that AWS publishes: service "service", us-east-1, 2015-08-30 12:36 UTC."""
    at = datetime.datetime(2015, 8, 30, 12, 36, tzinfo=datetime.UTC)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: at)
    monkeypatch.setattr("app.providers.bedrock._SERVICE", "service")
    sent: list[Any] = []

    class Nowhere:
        async def send(self, request: Any) -> Any:
            sent.append(request)
            return Pieces([])

    request = request_to("https://example.amazonaws.com/", b"", options={"aws_region_name": "us-east-1", **KEYS})
    await BedrockUpstream(Nowhere()).send(
        type(request)("p", "GET", request.url, [], b"", request.timeouts, request.options)
    )
    assert dict(sent[0].headers)[b"authorization"] == (
        b"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        b"SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    )


async def test_anthropics_own_client_asks_for_the_same(host: Loopback, bedrock: BedrockUpstream) -> None:
    host.answer_json({"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "m",
                      "stop_reason": "end_turn", "stop_sequence": None,
                      "usage": {"input_tokens": 1, "output_tokens": 1}})  # fmt: skip
    host.answers.popleft()
    client = anthropic.AsyncAnthropicBedrock(
        api_key="bedrock-api-key-x", aws_region="eu-central-1", base_url=host.url, max_retries=0
    )
    await client.messages.create(model=MODEL, max_tokens=1, messages=[{"role": "user", "content": "hi"}])
    body = host.requests[0].body
    await read(
        await bedrock.send(
            request_to(url_of(host.url), body, options={**OPTIONS, "aws_bearer_token": "bedrock-api-key-x"})
        )
    )
    theirs, ours = host.requests
    assert theirs.target.replace(":", "%3A") == ours.target
    for name in ("accept", "authorization", "content-type"):
        assert theirs.header_values(name) == ours.header_values(name)


async def test_one_key_without_the_other_is_said(host: Loopback, bedrock: BedrockUpstream) -> None:
    with pytest.raises(UpstreamRejected, match="only one of aws_access_key_id") as raised:
        await bedrock.send(request_to(url_of(host.url), options={"aws_access_key_id": "AKIDEXAMPLE"}))
    assert raised.value.status == 502
    assert "AKIDEXAMPLE" not in raised.value.message


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """No source of AWS credentials but those that a test sets."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    return monkeypatch


async def test_without_any_credentials_the_next_step_is_said(
    host: Loopback, bedrock: BedrockUpstream, bare_machine: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UpstreamRejected, match=r'"cloud" cannot .* \(there are none\); an admin should set aws_access'):
        await bedrock.send(request_to(url_of(host.url), options=REGION))
    assert host.requests == []


async def test_a_source_of_credentials_that_fails_is_said(
    host: Loopback, bedrock: BedrockUpstream, bare_machine: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text("[default]\ncredential_process = /bin/false\n")
    with pytest.raises(UpstreamRejected, match=r"looking for them failed with CredentialRetrievalError"):
        await bedrock.send(request_to(url_of(host.url), options=REGION))


async def test_a_profile_of_the_machine_is_found(
    host: Loopback, bedrock: BedrockUpstream, bare_machine: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lines = ["[default]", *(f"{name} = {value}" for name, value in KEYS.items())]
    (tmp_path / "credentials").write_text("\n".join(lines))
    await read(await bedrock.send(request_to(url_of(host.url), options=REGION)))
    assert (host.requests[0].header("authorization") or "").endswith(signature_expected(host.requests[0], host.url))


async def test_credentials_of_a_container_are_asked_for_once_and_renewed_before_they_end(
    host: Loopback, bedrock: BedrockUpstream, bare_machine: pytest.MonkeyPatch
) -> None:
    now = datetime.datetime.now(datetime.UTC)

    def credentials(number: int, lasts: datetime.timedelta) -> dict[str, str]:
        ends = (now + lasts).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"AccessKeyId": f"AKID{number}", "SecretAccessKey": "s", "Token": "t", "Expiration": ends}

    async with loopback() as container:
        container.answer_json(credentials(1, datetime.timedelta(minutes=12)))  # within AWS's 15 minutes: renewed soon
        container.answer_json(credentials(2, datetime.timedelta(hours=6)))
        bare_machine.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", container.url + "/role")
        request = request_to(url_of(host.url), options=REGION)
        await asyncio.gather(*(bedrock.send(request) for _ in range(5)))
        assert len(container.requests) == 2
    assert all("Credential=AKID2/" in (request.header("authorization") or "") for request in host.requests)


def test_the_secret_is_in_no_message_and_no_repr() -> None:
    assert KEYS["aws_secret_access_key"] not in repr(request_to("http://x/", options=OPTIONS))
    assert repr(Secret("s")) == "Secret(***)"
