"""Usage of chat completions, whole and streamed."""

from typing import Any

import msgspec

from app.base.money import NanoUSD
from app.protocols.codec import UsageReport
from app.protocols.openai_usage import cost_of, exact_number, usage_of
from app.protocols.scanning import FrameScanner, as_word, json_bytes, lenient_reader, text_bytes
from app.protocols.sse import data_of


class _Speech(msgspec.Struct, gc=False):
    """A message, or a delta of one."""

    content: Any = None
    refusal: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    tool_calls: Any = None
    function_call: Any = None
    audio: Any = None


class _Choice(msgspec.Struct, gc=False):
    delta: _Speech | None = None
    message: _Speech | None = None
    finish_reason: Any = None


class _Completion(msgspec.Struct, gc=False):
    """A whole answer or a chunk of one."""

    choices: list[_Choice] | None = None
    usage: Any = None
    error: Any = None
    service_tier: Any = None


_read = lenient_reader(_Completion, kept=("usage", "error", "service_tier"), float_hook=exact_number)


def scan_response(body: bytes) -> UsageReport:
    """Usage of a whole answer (an embedding's too); an unreadable one reports nothing."""
    completion = _read(body)
    if completion is None:
        return UsageReport(usage=None, final=False, output_bytes=0)
    usage = usage_of(completion.usage, completion.service_tier)
    choices = completion.choices or []
    reasons = (as_word(choice.finish_reason) for choice in choices)
    return UsageReport(
        usage=usage,
        final=usage is not None,
        output_bytes=sum(_spoken_bytes(choice.message) for choice in choices if choice.message is not None),
        finish_reason=next((reason for reason in reasons if reason), None),
        cost=cost_of(completion.usage),
    )


class ChatScanner(FrameScanner):
    """Watches the chunks of one answer. Where asked to, withholds the one frame that carries usage and no choice."""

    _cost: NanoUSD | None = None
    _service_tier: Any = None

    def report(self) -> UsageReport:
        return msgspec.structs.replace(super().report(), cost=self._cost)

    @property
    def complete(self) -> bool:
        """Some hosts never send [DONE]: a finish reason at the end of a whole frame is an end as well."""
        return self.ended or self.failed or (self._finish_reason is not None and self._splitter.at_boundary)

    def _see(self, frame: bytes) -> bool:
        data = data_of(frame)
        chunk = _read(data)
        if chunk is None:
            if data.strip() == b"[DONE]":
                self.ended = True
                self._counted_all = self._usage is not None
            return True
        if chunk.service_tier is not None:
            self._service_tier = chunk.service_tier
        choices = chunk.choices
        if choices:
            for choice in choices:
                self._see_choice(choice)
        if chunk.error is not None:
            self.failed = True
        if chunk.usage is None:
            return True
        usage = usage_of(chunk.usage, self._service_tier)
        if usage is not None:
            # Some hosts count along in each chunk: the last one counts, and only then is it all.
            self._usage = usage
            self._cost = cost_of(chunk.usage)
            self._counted_all = not choices or self._finish_reason is not None
        return usage is None or choices != []

    def _see_choice(self, choice: _Choice) -> None:
        if choice.delta is not None:
            self._output_bytes += _spoken_bytes(choice.delta)
        if choice.finish_reason is not None:
            self._finish_reason = as_word(choice.finish_reason)


def _spoken_bytes(speech: _Speech) -> int:
    total = text_bytes(speech.content)
    if speech.reasoning_content is not None or speech.reasoning is not None:
        # Hosts that write both write the same text twice.
        total += text_bytes(speech.reasoning_content or speech.reasoning)
    if speech.tool_calls is not None:
        calls = speech.tool_calls if isinstance(speech.tool_calls, list) else []
        total += sum(_argument_bytes(call.get("function")) for call in calls if isinstance(call, dict))
    if speech.refusal is not None or speech.function_call is not None or speech.audio is not None:
        transcript = speech.audio.get("transcript") if isinstance(speech.audio, dict) else None
        total += text_bytes(speech.refusal) + _argument_bytes(speech.function_call) + text_bytes(transcript)
    return total


def _argument_bytes(function: object) -> int:
    if not isinstance(function, dict):
        return 0
    arguments = function.get("arguments")
    return text_bytes(arguments) if isinstance(arguments, str) else json_bytes(arguments) if arguments else 0
