"""Telemetry of clients: what it says of their work is kept by session, all goes on to a collector."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from app.domain.access import Principal
from app.gateway.collector import Collector
from app.gateway.ports import ActivityStore
from app.protocols.codec import Header
from app.protocols.otlp.claude_code import NAMES, Readings, read_activity
from app.protocols.otlp.exchange import Encoding, Signal, check_form, read_points, render_taken, unpack

_READ_AT_ONCE_BYTES = 16 * 1024
"""Larger bodies are read in a thread, one at a time: the longest take seconds, and no call may wait for them."""


class Telemetry:
    """``collector`` None: nothing is passed on."""

    def __init__(self, store: ActivityStore, collector: Collector | None, most_bytes: int) -> None:
        self._store = store
        self._collector = collector
        self._most_bytes = most_bytes
        self._reading = asyncio.Lock()

    async def take(
        self,
        principal: Principal,
        signal: Signal,
        encoding: Encoding,
        export: tuple[Sequence[Header], bytes],
        at: datetime,
    ) -> bytes:
        """The answer's body. ``export`` are the request's headers and its body as they came.

        Raises Unreadable, TooLarge, UnsupportedMediaType, StorageUnavailable: then nothing was taken.
        """
        headers, packed = export
        body = unpack(packed, headers, self._most_bytes)
        found = Readings()
        if signal != "metrics":
            check_form(encoding, body)
        elif len(body) <= _READ_AT_ONCE_BYTES:
            found = _read(encoding, body, at)
        else:
            async with self._reading:
                found = await asyncio.to_thread(_read, encoding, body, at)
        if found.taken:
            await self._store.add(principal.key, found.taken, at)
        if self._collector is not None:
            self._collector.offer(signal, headers, packed)
        return render_taken(encoding, found.refused, found.reason)


def _read(encoding: Encoding, body: bytes, at: datetime) -> Readings:
    return read_activity(read_points(encoding, body, NAMES), at)
