"""Bare HTTP/1.1 with a gateway: nothing is followed, tried again or put right, and a broken end is seen as one."""

import http.client
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import msgspec

Headers = Iterable[tuple[str, str]]


class NoAnswer(Exception):
    """The gateway did not answer in time, or not in HTTP."""


@dataclass(frozen=True, slots=True)
class Heard:
    """``whole``: the body ended as HTTP says it should; False when the connection was cut."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool

    @property
    def value(self) -> Any:  # noqa: ANN401  JSON; None for what is none
        try:
            return msgspec.json.decode(self.body)
        except msgspec.DecodeError:
            return None

    @property
    def events(self) -> list[tuple[str, Any]]:
        """Of a stream: the name and the data of each event."""
        found = []
        for block in self.body.decode("utf-8", "replace").replace("\r\n", "\n").split("\n\n"):
            lines = [line.partition(":") for line in block.split("\n")]
            named = {name: text.strip() for name, _, text in lines if name in {"event", "data"}}
            if "data" in named:
                found.append((named.get("event", ""), _decoded(named["data"])))
        return found

    @property
    def brief(self) -> str:
        """For a line of the table: the status and the begin of the body."""
        text = " ".join(self.body[:100].decode("utf-8", "replace").split())
        return f"{self.status} {text}".strip()


@dataclass(frozen=True, slots=True)
class Line:
    """To one gateway with one key. ``url`` may have a path, below which its routes lie."""

    url: str
    key: str
    timeout_s: float = 60.0
    extra: tuple[tuple[str, str], ...] = field(default=())

    def ask(self, method: str, path: str, body: object = None, headers: Headers = (), *, bearer: bool = True) -> Heard:
        """``body``: bytes as they are, anything else as JSON. Raises NoAnswer."""
        parts = urlsplit(self.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        options: dict[str, Any] = {"timeout": self.timeout_s}
        if parts.scheme == "https":
            options["context"] = ssl.create_default_context()
        connection = kind(parts.netloc, **options)
        try:
            return self._exchange(connection, method, parts.path.rstrip("/") + path, body, headers, bearer=bearer)
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswer(f"no answer ({error or type(error).__name__})") from error
        finally:
            connection.close()

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: object,
        headers: Headers,
        *,
        bearer: bool,
    ) -> Heard:
        data = body if isinstance(body, bytes) or body is None else msgspec.json.encode(body)
        connection.putrequest(method, path, skip_accept_encoding=True)
        given = [("user-agent", "claude-cli/2.1.329 (external, cli)"), *self.extra, *headers]
        if bearer:
            given.append(("authorization", f"Bearer {self.key}"))
        if data is not None:
            given += [("content-type", "application/json"), ("content-length", str(len(data)))]
        for name, value in given:
            connection.putheader(name, value)
        connection.endheaders(data)
        answer = connection.getresponse()
        told = {name.lower(): value for name, value in answer.getheaders()}
        try:
            return Heard(answer.status, told, answer.read(), whole=True)
        except http.client.IncompleteRead as error:
            return Heard(answer.status, told, error.partial, whole=False)
        except OSError:
            return Heard(answer.status, told, b"", whole=False)


def _decoded(text: str) -> Any:  # noqa: ANN401
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
