"""Telemetry through a running gateway: what is taken, what is refused and how, and what reports say of it."""

import gzip
import struct
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.contract.test_nouns_at_work import said
from tests.fakes.gateway_process import Admin, GatewayProcess
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream

pytestmark = [pytest.mark.services, pytest.mark.contract]

FIXTURES = Path(__file__).parents[1] / "protocols" / "fixtures" / "otlp"
PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json"}
SIGNALS = ("/v1/metrics", "/v1/logs", "/v1/traces")
RECORDED_NS = (1795269055969000000, 1795269056053000000, 1795269056063000000)


@pytest.fixture
async def http(gateway: GatewayProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=gateway.base_url, timeout=30, trust_env=False) as client:
        yield client


def recorded_now(session_id: str) -> dict[str, bytes]:
    """Claude Code's own export of a commit, in both encodings, as if it were made now, in that session."""
    old_session, at_ns = "ab323679-df4e-4017-b0ec-887b59841ab5", time.time_ns()
    text = (FIXTURES / "claude_code_commit.json").read_bytes().replace(old_session.encode(), session_id.encode())
    packed = (FIXTURES / "claude_code_commit.bin").read_bytes().replace(old_session.encode(), session_id.encode())
    for recorded_ns in RECORDED_NS:
        text = text.replace(str(recorded_ns).encode(), str(at_ns).encode())
        packed = packed.replace(struct.pack("<Q", recorded_ns), struct.pack("<Q", at_ns))
    return {"json": text, "protobuf": packed}


async def test_telemetry_is_taken_from_keys_alone_whatever_their_limits(http: httpx.AsyncClient, admin: Admin) -> None:
    key = await admin.generate(max_budget=0, rpm_limit=1)
    for path in SIGNALS:
        taken = await http.post(path, json={"resourceMetrics": []}, headers={"authorization": f"Bearer {key}"})
        assert (taken.status_code, taken.json()) == (200, {})
        taken = await http.post(path, content=b"\x0a\x00", headers={**PROTOBUF, "x-api-key": key})
        assert (taken.status_code, taken.content) == (200, b"")
        assert taken.headers["content-type"] == "application/x-protobuf"
        refused = await http.post(path, json={})
        assert (refused.status_code, refused.json()["code"]) == (401, 16)
        assert (await http.get(path, headers={"x-api-key": key})).status_code == 405


@pytest.mark.parametrize("path", SIGNALS)
async def test_what_cannot_be_read_is_refused_as_otlp_says(http: httpx.AsyncClient, admin: Admin, path: str) -> None:
    key = {"x-api-key": await admin.generate()}

    async def status(content: bytes, **headers: str) -> tuple[int, bytes]:
        answer = await http.post(path, content=content, headers={**key, **headers})
        return answer.status_code, answer.content

    assert (await status(b"\x0a\x05ab", **PROTOBUF))[0] == 400
    assert (await status(b"\x0a\x05ab", **PROTOBUF))[1].startswith(b"\x08\x03\x12")
    code, said = await status(b'{"resource', **JSON)
    assert (code, said.startswith(b'{"code":3,"message":"the body is no OTLP request in JSON')) == (400, True)
    assert (await status(b"{}", **{"content-type": "text/plain"}))[0] == 415
    assert (await status(b"{}", **JSON, **{"content-encoding": "br"}))[0] == 415
    assert (await status(b"{}", **JSON, **{"content-encoding": "gzip"}))[0] == 400
    assert (await status(gzip.compress(b" " * (9 * 2**20)), **JSON, **{"content-encoding": "gzip"}))[0] == 413
    assert (await status(b" " * (9 * 2**20), **JSON))[0] == 413


async def test_points_that_cannot_be_taken_are_told_as_a_partial_success(http: httpx.AsyncClient, admin: Admin) -> None:
    export = (FIXTURES / "claude_code_commit.json").read_bytes().replace(b"17952690", b"15952690")
    headers = {**JSON, "x-api-key": await admin.generate()}
    told: Any = (await http.post("/v1/metrics", content=export, headers=headers)).json()
    assert told["partialSuccess"]["rejectedDataPoints"] == "2"
    assert "of another time" in told["partialSuccess"]["errorMessage"]


async def spend_usd_1_50(http: httpx.AsyncClient, upstream: RecordingUpstream, key: str, session_id: str) -> None:
    upstream.script(Script(text=("much",), input_tokens=0, output_tokens=100_000))
    body = {"model": "claude-sonnet-4-6", "max_tokens": 10, "messages": [{"role": "user", "content": "Hello"}]}
    headers = {"x-api-key": key, "x-claude-code-session-id": session_id}
    answer = await http.post("/v1/messages", json=body, headers=headers)
    assert answer.status_code == 200, answer.text


async def test_a_commit_stands_beside_what_its_session_cost(
    http: httpx.AsyncClient, gateway: GatewayProcess, admin: Admin, upstream: RecordingUpstream
) -> None:
    team = (await admin.post("/team/new", team_alias=f"builders-{uuid4()}")).json()
    project = (await admin.post("/project/new", project_alias=f"apollo-{uuid4()}", team_id=team["team_id"])).json()
    key = await admin.generate(team_id=team["team_id"], project_id=project["project_id"])
    sessions = [str(uuid4()), str(uuid4())]
    for session_id, encoding in zip(sessions, ("json", "protobuf"), strict=True):
        await spend_usd_1_50(http, upstream, key, session_id)
        export = gzip.compress(recorded_now(session_id)[encoding])
        headers = {**(JSON if encoding == "json" else PROTOBUF), "content-encoding": "gzip", "x-api-key": key}
        for _ in range(2):  # as a client that did not hear the answer
            assert (await http.post("/v1/metrics", content=export, headers=headers)).status_code == 200
    rows = await admin.receipts(key, 2)
    assert len(rows) == 2

    listed = (await admin.client.get("/spend/sessions", params={"team_id": team["team_id"]})).json()["data"]
    assert {(row["session_id"], row["cost"], row["commits"], row["active_seconds"]) for row in listed} == {
        (session_id, 1.5, 1, 2) for session_id in sessions
    }
    one = (await http.get(f"/spend/sessions/{sessions[0]}", headers={"x-api-key": key})).json()
    assert (one["cost"], one["commits"], one["pull_requests"]) == (1.5, 1, 0)

    today = f"{datetime.now(UTC):%Y-%m-%d}"
    asked = {"start_date": today, "end_date": today, "group_by": "team,day", "team_id": team["team_id"]}
    [line] = (await admin.client.get("/spend/productivity", params=asked)).json()["data"]
    assert line == {
        "period": today,
        "team_id": team["team_id"],
        "team_alias": team["team_alias"],
        "cost": 3.0,
        "sessions": 0,
        "commits": 2,
        "pull_requests": 0,
        "lines_added": 0,
        "lines_removed": 0,
        "edits_accepted": 0,
        "edits_rejected": 0,
        "active_seconds": 5,
        "cost_per_commit": 1.5,
        "cost_per_pull_request": None,
    }
    file = (await admin.client.get("/spend/productivity", params={**asked, "format": "csv"})).text.splitlines()
    assert file[0].split(",") == list(line)
    assert file[1].split(",")[3:6] == ["3.000000", "0", "2"]
    [of_project] = (await admin.client.get("/spend/productivity", params={**asked, "group_by": "project_id"})).json()[
        "data"
    ]
    assert (of_project["project_alias"], of_project["cost"], of_project["commits"]) == (project["project_alias"], 3, 2)
    assert "apollo-" in await said(gateway, f"spend productivity --by project_id --project {project['project_id']}")
    table = await said(gateway, f"spend productivity --by team,user --team {team['team_id']}")
    assert "builders-" in table
    assert "1.500000" in table
    assert "commits: 1," in await said(gateway, f"spend sessions {sessions[1]}")
    someone = {"x-api-key": await admin.generate()}
    assert (await http.get("/spend/productivity", params=asked, headers=someone)).json()["data"] == []
    refused = await admin.client.get("/spend/productivity", params={**asked, "group_by": "model"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (422, "group_by")
