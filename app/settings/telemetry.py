"""What the settings say of the collector: its address, and the headers that go with each export."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from app.settings.yaml_reading import Problems

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OUR_OWN = frozenset({"content-type", "content-encoding", "content-length", "host", "transfer-encoding"})


def check_telemetry(problems: Problems, values: Mapping[str, Any]) -> None:
    endpoint, headers = values.get("otlp_endpoint"), values.get("otlp_headers")
    if endpoint is not None and not _is_address(endpoint):
        problems.errors.append(
            f'otlp_endpoint: "{endpoint}" is no address; write what stands before /v1/metrics, as http://collector:4318'
        )
    if headers is None:
        return
    try:
        read_otlp_headers(headers.reveal())
    except ValueError as error:
        problems.errors.append(f"otlp_headers: {error}")
    if endpoint is None:
        problems.notice("otlp_headers is set, but otlp_endpoint is not: telemetry is passed on to nobody")


def read_otlp_headers(text: str) -> tuple[tuple[bytes, bytes], ...]:
    """``name=value,name=value``, values percent-encoded, as in OTEL_EXPORTER_OTLP_HEADERS.

    Raises ValueError, which shows no value.
    """
    found = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, is_pair, value = part.partition("=")
        name, value = name.strip().lower(), unquote(value.strip())
        if not is_pair or not _NAME.fullmatch(name):
            raise ValueError("it is written name=value,name=value, with %2C for a comma in a value")
        if name in _OUR_OWN:
            raise ValueError(f'"{name}" is the export\'s own')
        if not value.isprintable() or not value.isascii():
            raise ValueError(f'the value of "{name}" is no plain text')
        found.append((name.encode(), value.encode()))
    return tuple(found)


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and not parts.query
    except ValueError:
        return False
