"""Calls to a running gateway's admin API, for the commands that change or read it."""

import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import click
import msgspec

from app.home import ADMIN_KEY_FILE
from app.settings import Settings

_TIMEOUT_S = 30
_DECODER: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=Decimal)


@dataclass(frozen=True, slots=True)
class Answer:
    """``text`` is the API's own JSON; ``value`` the same decoded, with amounts as exact decimals."""

    text: str
    value: Any


def call(settings: Settings, method: str, path: str, payload: Mapping[str, Any]) -> Answer:
    """Raises ClickException with the gateway's own message, or with what to do about it."""
    url = f"http://{_reachable(settings.host)}:{settings.port}{path}"
    data: bytes | None = None
    if method == "GET":
        given = {name: value for name, value in payload.items() if value is not None}
        url = f"{url}?{urlencode(given, doseq=True)}" if given else url
    else:
        data = msgspec.json.encode(payload)
    request = urllib.request.Request(url, data, _headers(settings), method=method)  # noqa: S310  always http://
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310
            body: bytes = answer.read()
            return Answer(body.decode(), _DECODER.decode(body))
    except urllib.error.HTTPError as error:
        raise click.ClickException(_message(error)) from error
    except OSError as error:
        raise click.ClickException(
            f"no gateway answers at {url.partition('?')[0]} ({error}); start one with: keyhouse serve"
        ) from error


def _headers(settings: Settings) -> dict[str, str]:
    key = settings.master_key.reveal() if settings.master_key is not None else ""
    if not key:
        try:
            key = (settings.home / ADMIN_KEY_FILE).read_text(encoding="ascii").strip()
        except OSError as error:
            raise click.ClickException(
                f"no admin key: set KEYHOUSE_MASTER_KEY, or KEYHOUSE_HOME to the data directory ({error.strerror})"
            ) from error
    return {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104  compared, not bound


def _message(error: urllib.error.HTTPError) -> str:
    try:
        return str(msgspec.json.decode(error.read())["error"]["message"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return f"the gateway answered {error.code}"
