"""Reads what an operator names: a file, or an address on the public network and no other."""

import asyncio
import http.client
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import click

from app.providers.egress import Egress, NotReachable, Resolve

MOST_BYTES = 32_000_000
_TIMEOUT_S = 30


def read_source(source: str, allowed: Sequence[str], resolve: Resolve | None = None) -> bytes:
    """Of a path or an http(s) address. Private networks must be ``allowed``; redirects are not followed.

    Raises ClickException.
    """
    if "://" not in source:
        try:
            return Path(source).read_bytes()
        except OSError as error:
            raise click.ClickException(f'the file "{source}" cannot be read ({error.strerror})') from error
    parts = urlsplit(source)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise click.ClickException(f'"{source}" is no file and no http:// or https:// address')
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        address = asyncio.run(Egress(allowed, resolve).addresses(parts.hostname, port))[0]
        return _get(_connect(parts.scheme, parts.hostname, address, port), source)
    except NotReachable as error:
        raise click.ClickException(str(error)) from error
    except (OSError, http.client.HTTPException) as error:
        raise click.ClickException(f'"{source}" cannot be read: {error}') from error


def _connect(scheme: str, host: str, address: str, port: int) -> http.client.HTTPConnection:
    """To the address that was checked, whatever the name says by now."""
    line = socket.create_connection((address, port), _TIMEOUT_S)
    if scheme == "https":
        line = ssl.create_default_context().wrap_socket(line, server_hostname=host)
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
    connection.sock = line
    return connection


def _get(connection: http.client.HTTPConnection, source: str) -> bytes:
    parts = urlsplit(source)
    try:
        connection.request("GET", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
        answer = connection.getresponse()
        if answer.status != http.HTTPStatus.OK:
            raise click.ClickException(f'"{source}" answered {answer.status}; give the address of the list itself')
        body = answer.read(MOST_BYTES + 1)
    finally:
        connection.close()
    if len(body) > MOST_BYTES:
        raise click.ClickException(f'"{source}" is longer than {MOST_BYTES} bytes')
    return body
