"""Vertex AI over loopback: where the token comes from for each kind of credentials, and what is said without one."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import anthropic
import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt

from app.base.errors import UpstreamRejected, UpstreamUnreachable
from app.providers.host_table import HOSTS
from app.providers.hosts import endpoint_url
from app.providers.provider import UpstreamReply, UpstreamRequest
from app.providers.upstream import HttpUpstream
from app.providers.vertex import VertexUpstream
from tests.fakes.gateway_process import free_port
from tests.providers.loopback import Loopback, Pieces, loopback, read, request_to

PATH = "/v1/projects/p/locations/europe-west1/publishers/anthropic/models/claude-sonnet-4%4020250514:rawPredict"
ANSWER: dict[str, Any] = {
    "id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "m", "stop_reason": "end_turn",
    "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1},
}  # fmt: skip


class Rerouted:
    """A network of which Google's well-known addresses lead to the loopback. What goes to Vertex AI is ``sent``."""

    def __init__(self, http: HttpUpstream, google: Loopback) -> None:
        self._http = http
        self._google = google
        self.sent: list[UpstreamRequest] = []

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        if "aiplatform" in request.url:
            self.sent.append(request)
            return Pieces([])
        url = request.url.replace("https://oauth2.googleapis.com", self._google.url)
        assert url.startswith("http://127.0.0.1:")
        return await self._http.send(msgspec.structs.replace(request, url=url))


@pytest.fixture(scope="module")
def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
async def host() -> AsyncIterator[Loopback]:
    async with loopback() as running:
        running.answer_json(ANSWER)
        yield running


@pytest.fixture
async def google() -> AsyncIterator[Loopback]:
    """Every identity service of Google's at once."""
    async with loopback() as running:
        running.answer_json({"access_token": "ya29.token", "expires_in": 3599, "token_type": "Bearer",
                             "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"})  # fmt: skip
        yield running


@pytest.fixture
async def vertex(google: Loopback, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[VertexUpstream]:
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))
    http = HttpUpstream()
    yield VertexUpstream(Rerouted(http, google), google.url)
    await http.close()


@pytest.fixture
def account(google: Loopback, private_key: rsa.RSAPrivateKey) -> dict[str, str]:
    key = private_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "key-1",
        "private_key": key.decode(),
        "client_email": "gateway@p.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": google.url + "/token",
    }


def to(host: Loopback, credentials: object = None) -> UpstreamRequest:
    options: dict[str, str] = {"vertex_project": "p", "vertex_location": "europe-west1"}
    if credentials is not None:
        options["vertex_credentials"] = credentials if isinstance(credentials, str) else json.dumps(credentials)
    return request_to(host.url + PATH, b"{}", [(b"authorization", b"Bearer theirs")], options)


async def test_a_service_account_signs_for_its_token(
    host: Loopback,
    google: Loopback,
    vertex: VertexUpstream,
    account: dict[str, str],
    private_key: rsa.RSAPrivateKey,
) -> None:
    await read(await vertex.send(to(host, account)))
    [request] = host.requests
    assert request.target == PATH
    assert request.header_values("authorization") == ["Bearer ya29.token"]
    [asked] = google.requests
    form = parse_qs(asked.body.decode())
    assert (asked.path, form["grant_type"]) == ("/token", ["urn:ietf:params:oauth:grant-type:jwt-bearer"])
    public = private_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    claims: dict[str, Any] = dict(jwt.decode(form["assertion"][0], certs=public, audience=None, verify=True))  # type: ignore[no-untyped-call]
    assert claims["iss"] == "gateway@p.iam.gserviceaccount.com"
    assert claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"


async def test_the_file_of_a_service_account_serves_as_well(
    host: Loopback, vertex: VertexUpstream, account: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "account.json").write_text(json.dumps(account))
    await vertex.send(to(host, str(tmp_path / "account.json")))
    assert host.requests[0].header("authorization") == "Bearer ya29.token"


async def test_a_token_is_fetched_once_for_all_calls(
    host: Loopback, google: Loopback, vertex: VertexUpstream, account: dict[str, str]
) -> None:
    await asyncio.gather(*(vertex.send(to(host, account)) for _ in range(10)))
    await vertex.send(to(host, account))
    assert len(google.requests) == 1


async def test_a_token_that_the_host_refuses_is_fetched_anew(
    host: Loopback,
    google: Loopback,
    vertex: VertexUpstream,
    account: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.providers.tokens._NEW_S", 0)
    host.answers.clear()
    host.answer_json({"error": {"code": 401, "message": "no", "status": "UNAUTHENTICATED"}}, 401)
    for _ in range(2):
        await vertex.send(to(host, account))
    assert len(google.requests) == 2


async def test_a_person_is_known_by_a_refresh_token(host: Loopback, google: Loopback, vertex: VertexUpstream) -> None:
    person = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"}
    await vertex.send(to(host, person))
    form = parse_qs(google.requests[0].body.decode())
    assert (form["grant_type"], form["refresh_token"]) == (["refresh_token"], ["r"])
    assert "scope" not in form  # a person's token has the scopes that were granted


async def test_a_workload_exchanges_the_token_of_its_own_cloud(
    host: Loopback, google: Loopback, vertex: VertexUpstream, tmp_path: Path
) -> None:
    (tmp_path / "subject").write_text("subject-token")
    workload = {
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/k8s",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": google.url + "/v1/token",
        "credential_source": {"file": str(tmp_path / "subject")},
    }
    await vertex.send(to(host, workload))
    assert host.requests[0].header("authorization") == "Bearer ya29.token"
    assert parse_qs(google.requests[0].body.decode())["subject_token"] == ["subject-token"]


async def test_without_credentials_those_of_gcloud_are_taken(
    host: Loopback, google: Loopback, vertex: VertexUpstream, account: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "gcloud").mkdir()
    (tmp_path / "gcloud" / "application_default_credentials.json").write_text(json.dumps(account))
    await vertex.send(to(host))
    assert google.requests[0].path == "/token"


async def test_without_those_the_machine_is_asked(host: Loopback, google: Loopback, vertex: VertexUpstream) -> None:
    await vertex.send(to(host))
    [asked] = google.requests
    assert asked.target == "/computeMetadata/v1/instance/service-accounts/default/token"
    assert (asked.method, asked.header("metadata-flavor")) == ("GET", "Google")
    assert host.requests[0].header("authorization") == "Bearer ya29.token"


async def test_a_machine_that_is_not_googles_has_none(host: Loopback, vertex: VertexUpstream) -> None:
    bare = VertexUpstream(HttpUpstream(), f"http://127.0.0.1:{free_port()}")
    with pytest.raises(
        UpstreamRejected, match=r"none are set, and this machine has none of Google's.*vertex_credentials"
    ):
        await bare.send(to(host))


async def test_an_odd_answer_of_the_machine_is_said(host: Loopback, google: Loopback, vertex: VertexUpstream) -> None:
    google.answers.clear()
    google.answer(b"no such account", status=404)
    with pytest.raises(UpstreamRejected, match="this machine's own gave status 404"):
        await vertex.send(to(host))


@pytest.mark.parametrize(
    ("credentials", "said"),
    [
        ("/nowhere/account.json", "no JSON and no file of it: FileNotFoundError"),
        ("{broken", "no JSON and no file of it: DecodeError"),
        ("\0", "no JSON and no file of it: ValueError"),
        ({"type": "service_account"}, "in the expected format"),
        ({"type": "external_account", "credential_source": {"executable": {"command": "id"}}}, "token"),
        ({"type": "gdch_service_account"}, "no credentials of the type 'gdch_service_account' are known"),
        ({"type": 1}, "no credentials of the type 1 are known"),
        ({}, "no credentials of the type None are known"),
    ],
)
async def test_credentials_that_are_none_are_said_with_the_next_step(
    host: Loopback, vertex: VertexUpstream, credentials: object, said: str
) -> None:
    with pytest.raises(UpstreamRejected, match=said) as raised:
        await vertex.send(to(host, credentials))
    assert (raised.value.status, raised.value.provider) == (502, "cloud")
    assert raised.value.message.endswith(
        "an admin should set vertex_credentials to the JSON of a service account or to the path of its file"
    )


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        (
            {"error": "invalid_grant", "error_description": "Invalid JWT Signature."},
            400,
            "invalid_grant: Invalid JWT Sig",
        ),
        ({"error": {"message": "nested"}}, 403, "nested"),
        ({"no": "token"}, 200, "No access token"),
        ([], 200, "not what google-auth expects: "),
        ("text", 401, "text"),
    ],
)
async def test_a_refusal_of_a_token_shows_no_secret(
    host: Loopback,
    google: Loopback,
    vertex: VertexUpstream,
    account: dict[str, str],
    answer: object,
    status: int,
    said: str,
) -> None:
    google.answers.clear()
    google.answer_json(answer, status)
    with pytest.raises(UpstreamRejected, match=said) as raised:
        await vertex.send(to(host, account))
    assert "PRIVATE KEY" not in raised.value.message
    assert base64.b64encode(b"gateway@").decode()[:6] not in raised.value.message


async def test_an_identity_service_that_is_not_there_is_unreachable(
    host: Loopback, vertex: VertexUpstream, account: dict[str, str]
) -> None:
    with pytest.raises(UpstreamUnreachable, match=r'identity service did not answer .* provider "cloud"'):
        await vertex.send(to(host, {**account, "token_uri": f"http://127.0.0.1:{free_port()}/"}))


@pytest.mark.parametrize(
    ("location", "host_name"),
    [
        ("global", "aiplatform.googleapis.com"),
        ("eu", "aiplatform.eu.rep.googleapis.com"),
        ("us", "aiplatform.us.rep.googleapis.com"),
        ("us-east5", "us-east5-aiplatform.googleapis.com"),
    ],
)
async def test_each_location_has_its_address(google: Loopback, location: str, host_name: str) -> None:
    network = Rerouted(HttpUpstream(), google)
    base = (HOSTS["vertex_ai"].default_base or "").format(vertex_location=location)
    person = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"}
    url = endpoint_url(base, "/v1/projects/p")
    await VertexUpstream(network).send(request_to(url, options={"vertex_credentials": json.dumps(person)}))
    assert network.sent[0].url == f"https://{host_name}/v1/projects/p"
    theirs = anthropic.AnthropicVertex(region=location, project_id="p", access_token="t")
    assert str(theirs.base_url) == f"https://{host_name}/v1/"


async def test_anthropics_own_client_asks_for_the_same(
    host: Loopback, vertex: VertexUpstream, account: dict[str, str]
) -> None:
    client = anthropic.AsyncAnthropicVertex(
        region="europe-west1", project_id="p", access_token="ya29.token", base_url=host.url + "/v1", max_retries=0
    )
    await client.messages.create(
        model="claude-sonnet-4@20250514", max_tokens=1, messages=[{"role": "user", "content": "hi"}]
    )
    await vertex.send(to(host, account))
    theirs, ours = host.requests
    assert theirs.target.replace("@", "%40") == ours.target
    assert theirs.header_values("authorization") == ours.header_values("authorization")


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize(
    ("status", "kind"), [(429, "rate_limit_error"), (400, "invalid_request_error"), (404, "not_found_error")]
)
async def test_googles_refusal_has_the_shape_that_clients_of_the_messages_api_know(
    host: Loopback, vertex: VertexUpstream, status: int, kind: str, wrapped: bool
) -> None:
    host.answers.clear()
    told = {"error": {"code": status, "message": "Quota exceeded", "status": "RESOURCE_EXHAUSTED"}}
    host.answer_json([told] if wrapped else told, status)
    reply = await vertex.send(to(host))
    assert reply.status == status
    assert json.loads(await read(reply)) == {"type": "error", "error": {"type": kind, "message": "Quota exceeded"}}


async def test_anthropics_refusal_on_vertex_is_left_alone(host: Loopback, vertex: VertexUpstream) -> None:
    host.answers.clear()
    told = {"type": "error", "error": {"type": "invalid_request_error", "message": "max_tokens: required"}}
    host.answer_json(told, 400)
    assert json.loads(await read(await vertex.send(to(host)))) == told


async def test_a_refused_credential_is_ours_and_not_the_callers(host: Loopback, vertex: VertexUpstream) -> None:
    host.answers.clear()
    host.answer_json({"error": {"code": 403, "message": "Permission denied on project 12345"}}, 403)
    reply = await vertex.send(to(host))
    assert reply.status == 502
    assert json.loads(await read(reply))["error"]["message"] == (
        "cloud refused the gateway's own credential (403); tell whoever runs the gateway"
    )
