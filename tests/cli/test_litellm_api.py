"""Reading a LiteLLM proxy over its API, and what is told about it."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import click
import pytest

from app.admin.litellm import rows as tables
from app.cli.litellm_api import LiteLLMApi

KEY = "sk-litellm-master"
KEYS = [{"token": f"{number:064x}"} for number in range(3)]
ANSWERS: dict[str, Any] = {
    "/team/list": [{"team_id": "t 1"}, {"team_id": "t2"}],
    "/team/info?t 1": {"team_memberships": [{"team_id": "t 1", "user_id": "ada"}]},
    "/team/info?t2": {"team_memberships": []},
    "/user/list?1": {"users": [{"user_id": "ada"}], "total_pages": 2},
    "/user/list?2": {"users": [{"user_id": "bob"}], "total_pages": 2},
    "/key/list?1": {"keys": KEYS[:2], "total_pages": 2},
    "/key/list?2": {"keys": KEYS[2:], "total_pages": 2},
    "/customer/list": [{"user_id": "c"}],
    "/budget/list": [{"budget_id": "b"}],
}


class _Proxy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        named = (query.get("team_id") or query.get("page") or [""])[0]
        found = ANSWERS.get(f"{path}?{named}" if named else path)
        authorized = self.headers["Authorization"] == f"Bearer {KEY}"
        # Organizations need a licence there.
        self.send_response(401 if not authorized else 403 if found is None else 200)
        self.end_headers()
        self.wfile.write(json.dumps(found).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Proxy) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_all_pages_are_read_and_what_is_not_told_is_named(url: str) -> None:
    proxy = LiteLLMApi(f"{url}/", KEY)
    found = proxy.read()
    assert found[tables.KEYS] == KEYS
    assert [user["user_id"] for user in found[tables.USERS]] == ["ada", "bob"]
    assert found[tables.TEAM_MEMBERS] == [{"team_id": "t 1", "user_id": "ada"}]
    assert found[tables.CUSTOMERS] == [{"user_id": "c"}]
    assert found[tables.ORGANIZATIONS] == []
    assert proxy.left == ["/organization/list (403)"]


def test_a_wrong_key_and_a_wrong_address_are_told_in_words(url: str) -> None:
    with pytest.raises(click.ClickException, match="LiteLLM answers 401 on /team/list"):
        LiteLLMApi(url, "sk-wrong").read()
    with pytest.raises(click.ClickException, match="no LiteLLM answers"):
        LiteLLMApi("http://127.0.0.1:1", KEY).read()
