"""Usage of generateContent, whole and streamed.

Source: the public API reference, ``UsageMetadata``. The prompt's count holds what was cached; the candidates' count
does not hold the thoughts; what tools put into the prompt is counted beside it.
"""

from typing import Any

import msgspec

from app.domain.usage import Usage
from app.protocols.codec import UsageReport
from app.protocols.gemini.frames import AnswerSplitter
from app.protocols.scanning import FrameScanner, as_word, json_bytes, lenient_reader
from app.protocols.service_tiers import gemini_service

# Beyond any model's context by far, and safe to add up in 64 bits: a larger count is a host's mistake.
_LARGEST_COUNT = 2**40


class _Part(msgspec.Struct, gc=False):
    text: Any = None
    functionCall: Any = None  # noqa: N815
    inlineData: Any = None  # noqa: N815


class _Content(msgspec.Struct, gc=False):
    parts: list[_Part] | None = None


class _Candidate(msgspec.Struct, gc=False):
    content: _Content | None = None
    finishReason: Any = None  # noqa: N815
    groundingMetadata: Any = None  # noqa: N815


class _Answer(msgspec.Struct, gc=False):
    candidates: list[_Candidate] | None = None
    usageMetadata: Any = None  # noqa: N815
    promptFeedback: Any = None  # noqa: N815
    modelVersion: Any = None  # noqa: N815
    error: Any = None


_read = lenient_reader(_Answer, kept=("usageMetadata", "error"))


def usage_of(metadata: object, *, images: int = 0, web_searches: int = 0) -> Usage | None:
    """The disjoint counts of usageMetadata; None for what is none."""
    if not isinstance(metadata, dict):
        return None
    prompt, candidates = _count(metadata, "promptTokenCount"), _count(metadata, "candidatesTokenCount")
    thoughts = _count(metadata, "thoughtsTokenCount") or 0
    if prompt is None and candidates is None and not thoughts:
        return None
    prompt, spoken = prompt or 0, candidates or 0
    cached = min(prompt, _count(metadata, "cachedContentTokenCount") or 0)
    audio_input = _audio_in(metadata, "promptTokensDetails")
    if audio_input:
        cached_audio = _audio_in(metadata, "cacheTokensDetails") if cached else 0
        audio_input = min(prompt - cached, max(0, audio_input - cached_audio))
    tools = _count(metadata, "toolUsePromptTokenCount") or 0
    if thoughts and thoughts <= spoken and _count(metadata, "totalTokenCount") == prompt + spoken + tools:
        spoken -= thoughts  # some versions of Vertex AI count them among the candidates'
    audio_output = min(spoken, _audio_in(metadata, "candidatesTokensDetails"))
    return Usage(
        input=prompt - cached - audio_input + tools,
        cache_read=cached,
        output=spoken - audio_output + thoughts,
        reasoning=thoughts,
        audio_input=audio_input,
        audio_output=audio_output,
        images=images,
        web_searches=web_searches,
        service=gemini_service(metadata.get("trafficType")),
    )


def _count(metadata: dict[str, object], name: str) -> int | None:
    """None where it is missing, null or no sensible number."""
    value = metadata.get(name)
    return value if type(value) is int and 0 <= value <= _LARGEST_COUNT else None


def searches_in(grounding: object, model: object) -> int:
    """How many searches are billed: each query from Gemini 3 on, one for a grounded answer before."""
    queries = grounding.get("webSearchQueries") if isinstance(grounding, dict) else None
    count = len(queries) if isinstance(queries, list) else 0
    old = isinstance(model, str) and "gemini-2" in model
    return min(count, 1) if old else count


def is_image(inline: object) -> bool:
    kind = inline.get("mimeType") if isinstance(inline, dict) else None
    return isinstance(kind, str) and kind.startswith("image/")


def scan_response(body: bytes) -> UsageReport:
    """Usage of a whole answer; an unreadable one reports nothing."""
    sight = _Sight()
    sight.see(body)
    usage = sight.usage()
    return UsageReport(
        usage=usage, final=usage is not None, output_bytes=sight.output_bytes, finish_reason=sight.finish_reason
    )


class GeminiScanner(FrameScanner):
    """Watches the answers of one stream. ``usageMetadata`` grows from one to the next, so the last counts; more may
    follow the one with a finish reason."""

    def __init__(self) -> None:
        splitter = AnswerSplitter()
        super().__init__(splitter=splitter)
        self._answers = splitter
        self._sight = _Sight()

    def _see(self, frame: bytes) -> bool:
        data = self._answers.answer_in(frame)
        if data:
            sight = self._sight
            sight.see(data)
            self._output_bytes = sight.output_bytes
            self._finish_reason = sight.finish_reason
            self.ended = sight.finish_reason is not None
            self.failed = sight.failed
            self._counted_all = self.ended and sight.metadata is not None
        return True

    def report(self) -> UsageReport:
        self._usage = self._sight.usage()
        return super().report()


class _Sight:
    """What was seen in the answers of one stream so far."""

    __slots__ = ("_images", "_searches", "failed", "finish_reason", "metadata", "output_bytes")

    def __init__(self) -> None:
        self.metadata: object = None
        self.finish_reason: str | None = None
        self.failed = False
        self.output_bytes = 0
        self._images = 0
        self._searches = 0

    def usage(self) -> Usage | None:
        return usage_of(self.metadata, images=self._images, web_searches=self._searches)

    def see(self, data: bytes) -> None:
        answer = _read(data)
        if answer is None:
            return
        # What counts nothing does not replace what was counted before.
        if answer.usageMetadata is not None and usage_of(answer.usageMetadata) is not None:
            self.metadata = answer.usageMetadata
        if answer.error is not None:
            self.failed = True
        for candidate in answer.candidates or ():
            self._see_candidate(candidate, answer.modelVersion)
        blocked = answer.promptFeedback
        if not answer.candidates and isinstance(blocked, dict) and blocked.get("blockReason"):
            self.finish_reason = as_word(blocked["blockReason"]) or self.finish_reason

    def _see_candidate(self, candidate: _Candidate, model: object) -> None:
        if candidate.content is not None:
            for part in candidate.content.parts or ():
                self._see_part(part)
        if candidate.finishReason is not None:
            self.finish_reason = as_word(candidate.finishReason)
        if candidate.groundingMetadata is not None:
            self._searches = max(self._searches, searches_in(candidate.groundingMetadata, model))

    def _see_part(self, part: _Part) -> None:
        text = part.text
        if isinstance(text, str):
            self.output_bytes += len(text) if text.isascii() else len(text.encode())
        if isinstance(part.functionCall, dict):
            self.output_bytes += json_bytes(part.functionCall.get("args") or {})
        if part.inlineData is not None:
            self._images += is_image(part.inlineData)


def _audio_in(metadata: dict[str, object], name: str) -> int:
    details = metadata.get(name)
    if not isinstance(details, list):
        return 0
    total = 0
    for entry in details:
        if isinstance(entry, dict) and entry.get("modality") == "AUDIO":
            total += _count(entry, "tokenCount") or 0
    return total
