"""What ``--from`` may name: files, and addresses on the public network or allowed ones, checked where they lead."""

import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import click
import pytest

from app.cli.fetching import read_source


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        moved = self.path == "/moved"
        self.send_response(302 if moved else 200)
        if moved:
            self.send_header("location", "/list?v=1")
        self.end_headers()
        self.wfile.write(self.path.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the library's name
        return


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


async def _inside(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


def test_a_file_is_read_and_one_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("{}")

    assert read_source(str(tmp_path / "list.json"), ()) == b"{}"
    with pytest.raises(click.ClickException, match=r'"nowhere.json" cannot be read'):
        read_source("nowhere.json", ())


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "169.254.169.254", "[::1]", "2130706433", "10.0.0.8"])
def test_addresses_that_are_not_public_are_refused_before_any_call(host: str, port: int) -> None:
    with pytest.raises(click.ClickException, match="KEYHOUSE_ALLOWED_UPSTREAMS"):
        read_source(f"http://{host}:{port}/list", ())


def test_a_public_name_that_leads_inside_is_refused(port: int) -> None:
    with pytest.raises(click.ClickException, match="no public address"):
        read_source(f"http://prices.example.com:{port}/list", (), _inside)


def test_an_allowed_address_is_read_and_a_redirect_is_not_followed(port: int) -> None:
    allowed = ("127.0.0.0/8",)

    assert read_source(f"http://prices.example.com:{port}/list?v=1", allowed, _inside) == b"/list?v=1"
    with pytest.raises(click.ClickException, match="answered 302"):
        read_source(f"http://127.0.0.1:{port}/moved", allowed)


@pytest.mark.parametrize("source", ["ftp://prices.example.com/x", "http:///x"])
def test_what_is_no_address_of_the_web_is_refused(source: str) -> None:
    with pytest.raises(click.ClickException, match="no http:// or https:// address"):
        read_source(source, ())
