"""One developer's way to a gateway: its address, a virtual key, and plain HTTP with both."""

import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click
import msgspec

from app.cli.client import is_address, is_sendable
from app.domain.client_setups import NO_KEY
from app.settings import environment, load_settings

_TIMEOUT_S = 60
_KEY_VARIABLES = ("KEYHOUSE_KEY", "ANTHROPIC_AUTH_TOKEN")


@dataclass(frozen=True, slots=True)
class Gateway:
    """``url`` has no path and no slash at its end; ``key`` is NO_KEY where the developer gave none."""

    url: str
    key: str

    @property
    def has_key(self) -> bool:
        return self.key != NO_KEY


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def value(self) -> Any:  # noqa: ANN401  JSON
        """Raises ValueError for what is no JSON."""
        return msgspec.json.decode(self.body)

    @property
    def said(self) -> str:
        """The error's own sentence, of any API; else the begin of the body."""
        try:
            error = self.value["error"]
            return str(error["message"])
        except (ValueError, KeyError, TypeError):
            return self.body[:200].decode("utf-8", "replace").strip() or f"an empty answer {self.status}"


class Unreachable(Exception):
    """Nothing answers there, or what answers speaks no HTTP."""


def find_gateway(url: str | None, key: str | None) -> Gateway:
    """From the options, else KEYHOUSE_URL and KEYHOUSE_KEY (or ANTHROPIC_AUTH_TOKEN), else the gateway of this machine.

    Raises UsageError for an address that is none.
    """
    known = environment()
    written = (url or known.get("KEYHOUSE_URL", "")).strip().rstrip("/")
    if not written:
        settings = load_settings(known, {})
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)  # noqa: S104  compared
        written = f"http://{host}:{settings.port}"
    # Clients add /v1 themselves; one that is there already would be doubled.
    if not is_address(written.removesuffix("/v1")):
        raise click.UsageError(f'"{written}" is no address; give one such as --url https://gateway.example.com')
    held = (key or next((known[name] for name in _KEY_VARIABLES if known.get(name)), "")).strip()
    if held != NO_KEY and not is_sendable(held):
        raise click.UsageError(f'the key "…{held[-4:]}" is no key, which is plain ASCII; give it whole with --key')
    return Gateway(written.removesuffix("/v1"), held or NO_KEY)


def ask(gateway: Gateway, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Reply:
    """GET, or POST of a body. Every status is an answer. Raises Unreachable."""
    with _open(gateway, path, body, headers) as answer:
        try:
            return _reply(answer, answer.read())
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(
                f"the answer of {gateway.url}{path} broke off ({error or type(error).__name__})"
            ) from error


def stream(gateway: Gateway, path: str, body: object, headers: Mapping[str, str] | None = None) -> Iterator[str]:
    """The lines of a streamed answer as they come. Raises Unreachable, RefusedError."""
    with _open(gateway, path, body, headers) as answer:
        try:
            if answer.status != 200:
                raise RefusedError(_reply(answer, answer.read()))
            for line in answer:
                yield line.decode("utf-8", "replace").rstrip("\r\n")
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(
                f"the stream of {gateway.url}{path} broke off ({error or type(error).__name__})"
            ) from error


class RefusedError(Exception):
    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.said)
        self.reply = reply


@contextmanager
def _open(gateway: Gateway, path: str, body: object, headers: Mapping[str, str] | None) -> Iterator[Any]:
    given = {"user-agent": "keyhouse-connect", **(headers or {})}
    if gateway.has_key:
        given["authorization"] = f"Bearer {gateway.key}"
    data = None
    if body is not None:
        data = msgspec.json.encode(body)
        given["content-type"] = "application/json"
    request = urllib.request.Request(f"{gateway.url}{path}", data, given)  # noqa: S310  http or https
    try:
        answer = urllib.request.urlopen(request, timeout=_TIMEOUT_S)  # noqa: S310
    except urllib.error.HTTPError as error:
        answer = error  # an answer like any other
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise Unreachable(f"nothing answers at {gateway.url} ({reason})") from error
    with answer:
        yield answer


def _reply(answer: Any, body: bytes) -> Reply:  # noqa: ANN401  an answer of urllib, or its HTTPError
    return Reply(answer.status, {name.lower(): value for name, value in answer.headers.items()}, body)
