"""Usage of Messages answers, whole and streamed.

Source: the public API reference, ``usage`` of Messages and the streaming events. ``message_start`` counts the input,
``message_delta`` the whole once more, cumulative; only the former splits the cache writes by their time to live.
"""

from typing import Any

import msgspec

from app.domain.usage import Usage
from app.protocols.codec import UsageReport
from app.protocols.scanning import (
    UNREADABLE,
    Count,
    FrameScanner,
    as_word,
    count_of,
    json_bytes,
    text_bytes,
)
from app.protocols.service_tiers import anthropic_service, joined_service
from app.protocols.sse import FrameSplitter, data_of

_INPUT_CLASSES = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


class _Delta(msgspec.Struct, gc=False):
    text: Any = None
    thinking: Any = None
    partial_json: Any = None
    content: Any = None
    stop_reason: Any = None


class _Message(msgspec.Struct, gc=False):
    usage: Any = None
    content: Any = None
    stop_reason: Any = None


class _Event(msgspec.Struct, gc=False):
    type: str = ""
    delta: _Delta | None = None
    usage: Any = None
    message: _Message | None = None
    content_block: Any = None
    error: Any = None


class _Written(msgspec.Struct, gc=False):
    ephemeral_5m_input_tokens: Count = None
    ephemeral_1h_input_tokens: Count = None


class _Thought(msgspec.Struct, gc=False):
    thinking_tokens: Count = None


class _Searched(msgspec.Struct, gc=False):
    web_search_requests: Count = None


class _PlainUsage(msgspec.Struct, gc=False):
    """A usage object as the provider itself writes it; whatever else may stand there is for ``Tally``."""

    input_tokens: Count = None
    output_tokens: Count = None
    cache_read_input_tokens: Count = None
    cache_creation_input_tokens: Count = None
    cache_creation: _Written | None = None
    output_tokens_details: _Thought | None = None
    server_tool_use: _Searched | None = None
    service_tier: str | None = None
    speed: str | None = None
    inference_geo: str | None = None
    iterations: msgspec.Raw | None = None


class _PlainMessage(msgspec.Struct, gc=False):
    usage: _PlainUsage | None = None
    content: Any = None
    stop_reason: Any = None


_decode_event = msgspec.json.Decoder(_Event).decode
_decode_message = msgspec.json.Decoder(_Message).decode
_decode_plain_message = msgspec.json.Decoder(_PlainMessage).decode
_NOTHING_WRITTEN, _NO_THOUGHT, _NO_SEARCH = _Written(), _Thought(), _Searched()


class Tally:
    """Adds up usage objects that correct one another, the later one being right."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._write_5m = 0
        self._write_1h = 0
        self._service = ""
        self._iterations: list[object] = []

    def take(self, usage: object) -> None:
        """Take the next usage object; counts that it does not name stay as they are."""
        if not isinstance(usage, dict):
            return
        # Some hosts fill message_delta with zeros: one that counts no input at all has not counted it.
        if any(count_of(usage, name) for name in _INPUT_CLASSES):
            self._take_input(usage)
        self._keep("output_tokens", usage, "output_tokens")
        self._keep("reasoning", usage.get("output_tokens_details"), "thinking_tokens")
        self._keep("web_searches", usage.get("server_tool_use"), "web_search_requests")
        self._service = anthropic_service(usage) or self._service
        if isinstance(iterations := usage.get("iterations"), list):
            self._iterations = iterations

    def usage(self) -> Usage:
        counts = self._counts
        total = Usage(
            input=counts.get("input_tokens", 0),
            cache_read=counts.get("cache_read_input_tokens", 0),
            cache_write_5m=self._write_5m,
            cache_write_1h=self._write_1h,
            output=counts.get("output_tokens", 0),
            reasoning=min(counts.get("reasoning", 0), counts.get("output_tokens", 0)),
            web_searches=counts.get("web_searches", 0),
            service=self._service,
        )
        # The API reference: "A compaction entry's tokens are not included in the top-level usage fields."
        for iteration in self._iterations:
            if isinstance(iteration, dict) and iteration.get("type") == "compaction":
                total = _add(total, usage_of(iteration) or Usage())
        return total

    def _keep(self, name: str, values: object, wire_name: str) -> None:
        count = count_of(values, wire_name)
        if count is not None:
            self._counts[name] = count

    def _take_input(self, usage: dict[str, Any]) -> None:
        self._keep("input_tokens", usage, "input_tokens")
        self._keep("cache_read_input_tokens", usage, "cache_read_input_tokens")
        split = usage.get("cache_creation")
        write_5m = count_of(split, "ephemeral_5m_input_tokens")
        write_1h = count_of(split, "ephemeral_1h_input_tokens")
        written = count_of(usage, "cache_creation_input_tokens")
        if write_5m is not None or write_1h is not None:
            self._write_5m, self._write_1h = write_5m or 0, write_1h or 0
        elif written is not None:
            # Without a split all of it is 5m, but for what an earlier object said to be 1h.
            self._write_1h = min(self._write_1h, written)
            self._write_5m = written - self._write_1h


def usage_of(usage: object) -> Usage | None:
    """The counts of one complete usage object; None for what is none."""
    if count_of(usage, "output_tokens") is None and count_of(usage, "input_tokens") is None:
        return None
    tally = Tally()
    tally.take(usage)
    return tally.usage()


def scan_response(body: bytes) -> UsageReport:
    """Usage of a whole answer; an unreadable one reports nothing."""
    try:
        plain = _decode_plain_message(body)
    except UNREADABLE:
        return _scan_loosely(body)
    if plain.usage is None or plain.usage.iterations is not None:
        return _scan_loosely(body)
    return _report(_usage_of_plain(plain.usage), plain.content, plain.stop_reason)


def _scan_loosely(body: bytes) -> UsageReport:
    try:
        message = _decode_message(body)
    except UNREADABLE:
        return UsageReport(usage=None, final=False, output_bytes=0)
    return _report(usage_of(message.usage), message.content, message.stop_reason)


def _report(usage: Usage | None, content: object, stop_reason: object) -> UsageReport:
    return UsageReport(
        usage=usage, final=usage is not None, output_bytes=_content_bytes(content), finish_reason=as_word(stop_reason)
    )


def _usage_of_plain(said: _PlainUsage) -> Usage | None:
    """What ``usage_of`` finds, in a quarter of its time."""
    if said.input_tokens is None and said.output_tokens is None:
        return None
    written = said.cache_creation or _NOTHING_WRITTEN
    write_5m, write_1h = written.ephemeral_5m_input_tokens, written.ephemeral_1h_input_tokens
    if write_5m is None and write_1h is None:
        write_5m = said.cache_creation_input_tokens
    if not (said.input_tokens or said.cache_read_input_tokens or said.cache_creation_input_tokens):
        write_5m = write_1h = 0
    output = said.output_tokens or 0
    return Usage(
        input=said.input_tokens or 0,
        cache_read=said.cache_read_input_tokens or 0,
        cache_write_5m=write_5m or 0,
        cache_write_1h=write_1h or 0,
        output=output,
        reasoning=min((said.output_tokens_details or _NO_THOUGHT).thinking_tokens or 0, output),
        web_searches=(said.server_tool_use or _NO_SEARCH).web_search_requests or 0,
        service=joined_service(said.service_tier, said.speed, said.inference_geo),
    )


class MessagesScanner(FrameScanner):
    """Watches the event stream of one answer."""

    def __init__(self, *, splitter: FrameSplitter | None = None) -> None:
        super().__init__(splitter=splitter)
        self._tally = Tally()
        self._counted_output = False

    def _see(self, frame: bytes) -> bool:
        try:
            event = _decode_event(data_of(frame))
        except UNREADABLE:
            return True
        kind, delta = event.type, event.delta
        if kind == "content_block_delta":
            if delta is not None:
                spoken = delta.text or delta.thinking or delta.partial_json or delta.content
                self._output_bytes += text_bytes(spoken)
        elif kind == "message_delta":
            self._see_message_delta(event)
        elif kind == "message_start":
            if event.message is not None:
                self._take(event.message.usage)
        elif kind == "content_block_start":
            self._output_bytes += text_bytes(event.content_block) if _speaks(event.content_block) else 0
        elif kind == "message_stop":
            self.ended = True
            self._counted_all = self._counted_output
        elif kind == "error" or (not kind and event.error is not None):
            self.failed = True
        return True

    def _see_message_delta(self, event: _Event) -> None:
        self._take(event.usage)
        if event.delta is not None:
            self._finish_reason = as_word(event.delta.stop_reason) or self._finish_reason
        if count_of(event.usage, "output_tokens") is not None:
            self._counted_output = True
        self._counted_all = self._counted_output and self._finish_reason is not None

    def _take(self, usage: object) -> None:
        if isinstance(usage, dict):
            self._tally.take(usage)
            self._usage = self._tally.usage()


def _content_bytes(content: object) -> int:
    total = 0
    for block in content if isinstance(content, list) else ():
        if _speaks(block):
            total += text_bytes(block)
        elif isinstance(block, dict) and "input" in block:
            total += json_bytes(block["input"])
    return total


def _speaks(block: object) -> bool:
    """Whether the text in a content block is the model's own, and not the result of a provider's tool."""
    return isinstance(block, dict) and block.get("type") in {"text", "thinking", "compaction"}


def _add(one: Usage, other: Usage) -> Usage:
    return Usage(
        input=one.input + other.input,
        cache_read=one.cache_read + other.cache_read,
        cache_write_5m=one.cache_write_5m + other.cache_write_5m,
        cache_write_1h=one.cache_write_1h + other.cache_write_1h,
        output=one.output + other.output,
        reasoning=one.reasoning + other.reasoning,
        web_searches=one.web_searches + other.web_searches,
        service=one.service,
    )
