"""Calls to a running gateway's admin API, for the commands that change or read it."""

import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode, urlsplit

import click
import msgspec

from app.home import ADMIN_KEY_FILE
from app.settings import Settings, environment

_TIMEOUT_S = 30
_FILE_TIMEOUT_S = 600  # until the next piece: a month is sorted before the first
_PIECE_BYTES = 1 << 16
_DECODER: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=Decimal)


@dataclass(frozen=True, slots=True)
class Answer:
    """``text`` is the API's own body; ``headers`` by their names in small letters."""

    text: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def value(self) -> Any:  # noqa: ANN401  JSON
        """The JSON of the body, with amounts as exact decimals."""
        return _DECODER.decode(self.text)


def call(
    settings: Settings,
    method: str,
    path: str,
    payload: Mapping[str, Any],
    gateway_url: str | None = None,
    *,
    timeout_s: float = _TIMEOUT_S,
) -> Answer:
    """Calls ``gateway_url``, else ``KEYHOUSE_URL``, else the gateway that runs here with these settings.

    Raises ClickException with the gateway's own message, or with what to do about it.
    """
    url = f"{gateway_url or _base_url(settings)}{path}"
    data: bytes | None = None
    if method == "GET":
        given = {name: value for name, value in payload.items() if value is not None}
        url = f"{url}?{urlencode(given, doseq=True)}" if given else url
    else:
        data = msgspec.json.encode(payload)
    request = urllib.request.Request(url, data, _headers(settings), method=method)  # noqa: S310  http or https
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310
            _check_is_gateway(answer, url)
            return Answer(answer.read().decode(), {name.lower(): value for name, value in answer.headers.items()})
    except urllib.error.HTTPError as error:
        _check_is_gateway(error, url)
        raise click.ClickException(_message(error)) from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise click.ClickException(
            f"no gateway answers at {url.partition('?')[0]} ({reason}); start one with: keyhouse serve"
        ) from error


def download(settings: Settings, path: str, query: Mapping[str, Any]) -> Iterator[bytes]:
    """A file piece by piece. Raises ClickException as ``call`` does."""
    url = f"{_base_url(settings)}{path}?{urlencode(query)}"
    request = urllib.request.Request(url, headers=_headers(settings))  # noqa: S310  http or https
    try:
        with urllib.request.urlopen(request, timeout=_FILE_TIMEOUT_S) as answer:  # noqa: S310
            while piece := answer.read(_PIECE_BYTES):
                yield piece
    except urllib.error.HTTPError as error:
        raise click.ClickException(_message(error)) from error
    except (OSError, http.client.HTTPException) as error:
        raise click.ClickException(f"the file from {path} broke off ({error}); try again") from error


def _base_url(settings: Settings) -> str:
    written = environment().get("KEYHOUSE_URL", "").strip().rstrip("/")
    if not written:
        return f"http://{_reachable(settings.host)}:{settings.port}"
    if not is_address(written):
        raise click.ClickException(f'KEYHOUSE_URL is "{written}"; give an address such as https://gateway.example.com')
    return written


def is_address(written: str) -> bool:
    """Whether a gateway can be called there: http or https, a host, and a port that is a number."""
    try:
        parts = urlsplit(written)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def is_sendable(key: str) -> bool:
    """Whether it fits a header: what is copied from a page may end with "…"."""
    return key.isascii() and key.isprintable()


def _headers(settings: Settings) -> dict[str, str]:
    key = environment().get("KEYHOUSE_ADMIN_KEY", "").strip()
    if not key and settings.master_key is not None:
        key = settings.master_key.reveal()
    if not key:
        try:
            key = (settings.home / ADMIN_KEY_FILE).read_text(encoding="ascii").strip()
        except OSError as error:
            raise click.ClickException(
                "no admin key: set KEYHOUSE_ADMIN_KEY or KEYHOUSE_MASTER_KEY, or KEYHOUSE_HOME to the data directory "
                f"({error.strerror})"
            ) from error
    if not is_sendable(key):
        raise click.ClickException(
            f'the admin key "…{key[-4:]}" is not plain ASCII, as keys are; check KEYHOUSE_ADMIN_KEY'
        )
    return {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104  compared, not bound


def _check_is_gateway(answer: Any, url: str) -> None:  # noqa: ANN401  an answer of urllib, or its HTTPError
    """Every answer of an admin or spend route carries a request id; health is asked without."""
    if "request-id" not in answer.headers and not urlsplit(url).path.startswith("/health"):
        raise click.ClickException(
            f"what answers at {url.partition('?')[0]} ({answer.status}) is no Keyhouse; is KEYHOUSE_URL the gateway's "
            "own address, without a path?"
        )


def _message(error: urllib.error.HTTPError) -> str:
    try:
        with error:
            return str(msgspec.json.decode(error.read())["error"]["message"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return f"the gateway answered {error.code}"
