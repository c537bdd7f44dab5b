"""Batches of messages as bytes: the requests of a new one, the lines of its results, and the objects that name it.

Source: the public API reference, Message Batches. ``POST /v1/messages/batches`` takes ``{"requests": [{"custom_id",
"params"}]}``; results are lines of JSON in any order, ``{"custom_id", "result": {"type", "message"}}``, where only
``succeeded`` has a message, and costs.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from app.base.errors import InvalidRequest
from app.protocols.anthropic_messages.usage import scan_response
from app.protocols.codec import Envelope, UsageReport
from app.protocols.envelope import read_fields, read_loosely, splice

LONGEST_LINE_BYTES = 64 * 1024 * 1024
_LONGEST_CUSTOM_ID = 64
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode = msgspec.json.encode


class BatchItem(msgspec.Struct, frozen=True):
    """One request of a batch: itself and its ``params``, as they came."""

    custom_id: str
    raw: bytes
    fields: Mapping[str, msgspec.Raw]
    params: Envelope


class Batch(msgspec.Struct, frozen=True):
    body: bytes
    fields: Mapping[str, msgspec.Raw]
    items: tuple[BatchItem, ...]


class BatchResult(msgspec.Struct, frozen=True):
    """A line that was paid for."""

    custom_id: str
    report: UsageReport


class _Result(msgspec.Struct):
    type: str = ""
    message: msgspec.Raw = msgspec.Raw(b"null")


class _Line(msgspec.Struct):
    custom_id: str
    result: _Result


_decode_line = msgspec.json.Decoder(_Line).decode


def read_batch(body: bytes, read_envelope: Callable[[bytes], Envelope]) -> Batch:
    """Raises InvalidRequest naming the request of the batch that cannot be read."""
    fields = read_fields(body)
    raw = fields.get("requests")
    if raw is None:
        raise InvalidRequest('"requests" is missing; send a list of {"custom_id", "params"}', param="requests")
    try:
        raws = _decode_items(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidRequest('"requests" must be a list of {"custom_id", "params"}', param="requests") from error
    if not raws:
        raise InvalidRequest('"requests" is empty; a batch has at least one request', param="requests")
    places: dict[str, int] = {}
    items = []
    for number, item_raw in enumerate(raws):
        item = _read_item(bytes(item_raw), f"requests.{number}", read_envelope)
        if item.custom_id in places:
            raise InvalidRequest(
                f'custom_id "{item.custom_id}" stands at requests.{places[item.custom_id]} and at requests.{number}; '
                "each request of a batch needs its own",
                param=f"requests.{number}.custom_id",
            )
        places[item.custom_id] = number
        items.append(item)
    return Batch(body, fields, tuple(items))


def rewrite_batch(batch: Batch, rewrite: Callable[[Envelope], bytes]) -> bytes:
    """The body with each ``params`` rewritten for the host; every other byte as it came."""
    changed = False
    parts: list[bytes | memoryview] = []
    requests = bytes(batch.fields["requests"])
    view, position = memoryview(requests), 0
    for item in batch.items:
        # Between two items stand only blanks and a comma, so what begins like this one is this one.
        start = requests.index(item.raw, position)
        params = rewrite(item.params)
        same = params == item.params.body
        parts += (view[position:start], item.raw if same else splice(item.raw, item.fields, {"params": params}))
        changed = changed or not same
        position = start + len(item.raw)
    if not changed:
        return batch.body
    return splice(batch.body, batch.fields, {"requests": b"".join((*parts, view[position:]))})


class ResultLines:
    """Cuts results into whole lines, and finds those that were paid for. ``unread`` counts what is no result."""

    def __init__(self, longest_bytes: int = LONGEST_LINE_BYTES) -> None:
        self._longest_bytes = longest_bytes
        self._held = bytearray()
        self.unread = 0

    @property
    def overflowed(self) -> bool:
        """A line is longer than any result can be: it cannot be told what it cost."""
        return len(self._held) > self._longest_bytes

    def feed(self, chunk: bytes) -> tuple[bytes, list[BatchResult]]:
        """All whole lines so far that were not given before, and what in them was paid for."""
        end = chunk.rfind(b"\n") + 1
        if not end:
            self._held += chunk
            return b"", []
        lines = bytes(self._held) + chunk[:end] if self._held else chunk[:end]
        self._held = bytearray(chunk[end:])
        return lines, self._results(lines)

    def flush(self) -> tuple[bytes, list[BatchResult]]:
        """The last line, where it has no end."""
        rest = bytes(self._held)
        self._held.clear()
        return rest, self._results(rest)

    def _results(self, lines: bytes) -> list[BatchResult]:
        found = []
        for line in lines.split(b"\n"):
            if not line.strip():
                continue
            try:
                read = _decode_line(line)
            except _UNREADABLE:
                self.unread += 1
                continue
            if read.result.type == "succeeded":
                found.append(BatchResult(read.custom_id, scan_response(bytes(read.result.message))))
        return found


def with_own_results_url(body: bytes) -> bytes:
    """A batch whose ``results_url`` leads here: a path, which clients put behind the base URL that they know.

    Left as it is, it would lead clients past the gateway, and show their key to the provider.
    """
    try:
        fields = read_fields(body)
        url, batch_id = read_loosely(fields, "results_url"), read_loosely(fields, "id")
    except InvalidRequest:
        return body
    if not isinstance(url, str) or not isinstance(batch_id, str):
        return body
    return splice(body, fields, {"results_url": _encode(f"/v1/messages/batches/{batch_id}/results")})


def with_own_results_urls(body: bytes) -> bytes:
    """The same for a list of batches."""
    try:
        fields = read_fields(body)
        items = _decode_items(fields.get("data", msgspec.Raw(b"[]")))
    except (InvalidRequest, *_UNREADABLE):
        return body
    data = b",".join(with_own_results_url(bytes(item)) for item in items)
    return splice(body, fields, {"data": b"[" + data + b"]"}) if items else body


def object_id_of(body: bytes) -> str | None:
    """The ``id`` of an answer that is one object; None where it has none that could be kept."""
    try:
        object_id = read_loosely(read_fields(body), "id")
    except InvalidRequest:
        return None
    return object_id if isinstance(object_id, str) and 0 < len(object_id) <= 256 and object_id.isprintable() else None


def render_page(data: list[bytes], ids: list[str], *, has_more: bool) -> bytes:
    """A page of a list, in the old way (``first_id``, ``last_id``) and the new (``next_page``)."""
    page: dict[str, Any] = {
        "data": [msgspec.Raw(item) for item in data],
        "has_more": has_more,
        "first_id": ids[0] if ids else None,
        "last_id": ids[-1] if ids else None,
        "next_page": f"page_{ids[-1]}" if has_more and ids else None,
    }
    return _encode(page)


def _read_item(raw: bytes, place: str, read_envelope: Callable[[bytes], Envelope]) -> BatchItem:
    fields = _at(place, read_fields, raw)
    custom_id = _at(place, lambda _: read_loosely(fields, "custom_id"), raw)
    if not isinstance(custom_id, str) or not 0 < len(custom_id) <= _LONGEST_CUSTOM_ID or not custom_id.isprintable():
        raise InvalidRequest(
            f'"{place}.custom_id" must be a text of 1 to {_LONGEST_CUSTOM_ID} characters', param=f"{place}.custom_id"
        )
    params = fields.get("params")
    if params is None:
        raise InvalidRequest(f'"{place}.params" is missing (custom_id "{custom_id}")', param=f"{place}.params")
    return BatchItem(custom_id, raw, fields, _at(f"{place}.params", read_envelope, bytes(params), custom_id))


def _at(place: str, read: Callable[[bytes], Any], raw: bytes, custom_id: str | None = None) -> Any:  # noqa: ANN401
    """Reads at ``place``, and says in its errors where that is."""
    try:
        return read(raw)
    except InvalidRequest as error:
        whose = f' (custom_id "{custom_id}")' if custom_id is not None else ""
        param = f"{place}.{error.param}" if error.param else place
        raise InvalidRequest(f"{place}{whose}: {error.message}", param=param) from error
