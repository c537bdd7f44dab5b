"""Usage of the Responses API, whole and streamed.

Source: the public API reference, ``ResponseUsage``. The wire's classes overlap (the input holds what was cached, the
output what was reasoned); ours do not.
"""

import contextlib
from typing import Any

import msgspec

from app.domain.provider_objects import LONGEST_RESPONSE_ID
from app.domain.usage import Usage
from app.protocols.codec import UsageReport
from app.protocols.scanning import UNREADABLE, FrameScanner, as_word, count_of, json_bytes, text_bytes
from app.protocols.service_tiers import openai_service
from app.protocols.sse import data_of

_ENDS = {"response.completed": False, "response.incomplete": False, "response.failed": True}


class _Response(msgspec.Struct, gc=False):
    id: Any = None
    store: Any = None
    status: Any = None
    output: Any = None
    usage: Any = None
    tool_usage: Any = None
    incomplete_details: Any = None
    service_tier: Any = None


class _Frame(msgspec.Struct, gc=False):
    type: str = ""
    delta: Any = None
    response: msgspec.Raw = msgspec.Raw(b"null")


_decode_response = msgspec.json.Decoder(_Response).decode
_decode_frame = msgspec.json.Decoder(_Frame).decode


def usage_of(
    usage: object, tool_usage: object = None, service_tier: object = None, items: object = None
) -> Usage | None:
    """The disjoint counts of a usage object; None for what is none. The others stand beside it in the answer: searches
    in files are told by nothing but the ``items`` of its output."""
    given, made = count_of(usage, "input_tokens"), count_of(usage, "output_tokens")
    if not isinstance(usage, dict) or (given is None and made is None):
        return None
    details = usage.get("input_tokens_details")
    left = given or 0
    # Each class is taken out of the input at most once, whatever a host adds up.
    cache_read = min(left, count_of(details, "cached_tokens") or 0)
    left -= cache_read
    cache_write = min(left, count_of(details, "cache_write_tokens") or 0)
    output = made or 0
    searches = tool_usage.get("web_search") if isinstance(tool_usage, dict) else None
    return Usage(
        input=left - cache_write,
        cache_read=cache_read,
        cache_write_5m=cache_write,
        output=output,
        reasoning=min(output, count_of(usage.get("output_tokens_details"), "reasoning_tokens") or 0),
        web_searches=count_of(searches, "num_requests") or 0,
        service=openai_service(service_tier),
        file_searches=_file_searches(items),
    )


def _file_searches(items: object) -> int:
    found = items if isinstance(items, list) else ()
    return sum(isinstance(item, dict) and item.get("type") == "file_search_call" for item in found)


def usage_fields(usage: Usage) -> dict[str, object]:
    """A usage object in the wire's overlapping classes."""
    output = usage.output + usage.audio_output
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write_5m + usage.cache_write_1h,
        },
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.prompt_tokens + output,
    }


def scan_response(body: bytes) -> UsageReport:
    """Usage of a whole answer; an unreadable one reports nothing."""
    try:
        response = _decode_response(body)
    except UNREADABLE:
        return UsageReport(usage=None, final=False, output_bytes=0)
    usage = usage_of(response.usage, response.tool_usage, response.service_tier, response.output)
    items = response.output if isinstance(response.output, list) else []
    return UsageReport(
        usage=usage,
        final=usage is not None,
        output_bytes=sum(_item_bytes(item) for item in items if isinstance(item, dict)),
        finish_reason=_finish_reason(response),
        kept_as=_kept_as(response),
    )


class ResponsesScanner(FrameScanner):
    """Watches the events of one answer; usage comes with the last of them.

    The answer's name comes with the first, which is as long as the request's tools: it is read only of an answer that
    has no end.
    """

    def __init__(self) -> None:
        super().__init__()
        self._begun: msgspec.Raw | None = None
        self._kept_as: str | None = None

    def report(self) -> UsageReport:
        if self._begun is not None:
            self._see_begin(self._begun)
        report = super().report()
        return report if self._kept_as is None else msgspec.structs.replace(report, kept_as=self._kept_as)

    def _see(self, frame: bytes) -> bool:
        try:
            event = _decode_frame(data_of(frame))
        except UNREADABLE:
            return True
        if event.delta is not None:
            self._output_bytes += text_bytes(event.delta)
        elif event.type in _ENDS:
            self.ended = True
            self.failed = self.failed or _ENDS[event.type]
            self._see_end(event.response)
        elif event.type == "response.created":
            self._begun = event.response
        elif event.type == "error":
            self.failed = True
        return True

    def _see_begin(self, raw: msgspec.Raw) -> None:
        self._begun = None
        with contextlib.suppress(*UNREADABLE):
            self._kept_as = _kept_as(_decode_response(raw))

    def _see_end(self, raw: msgspec.Raw) -> None:
        try:
            response = _decode_response(raw)
        except UNREADABLE:
            return
        self._begun, self._kept_as = None, _kept_as(response)
        self._finish_reason = _finish_reason(response)
        usage = usage_of(response.usage, response.tool_usage, response.service_tier, response.output)
        if usage is not None:
            self._usage = usage
            self._counted_all = True


def _kept_as(response: _Response) -> str | None:
    """Its name, where a later request may say it: the host tells whether it keeps the answer, whatever was asked."""
    name = response.id
    kept = response.store is not False and isinstance(name, str) and 0 < len(name) <= LONGEST_RESPONSE_ID
    return name if kept else None


def _finish_reason(response: _Response) -> str | None:
    """Why the answer is incomplete, else its status."""
    details = response.incomplete_details
    return (as_word(details.get("reason")) if isinstance(details, dict) else None) or as_word(response.status)


def _item_bytes(item: dict[str, Any]) -> int:
    """All text of an output item: its parts, its summary, its arguments or input."""
    total = sum(text_bytes(item.get(name)) for name in ("content", "summary", "input"))
    total += sum(text_bytes(part.get("refusal")) for part in _parts(item.get("content")))
    arguments = item.get("arguments")
    return total + (text_bytes(arguments) if isinstance(arguments, str) else json_bytes(arguments) if arguments else 0)


def _parts(content: object) -> list[dict[str, Any]]:
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
