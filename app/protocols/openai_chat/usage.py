"""Usage of chat completions, whole and streamed.

Source: the public API reference, ``CompletionUsage``, and those of DeepSeek, OpenRouter and xAI where they differ. The
wire's classes overlap (the prompt holds what was cached, the completion what was reasoned); ours do not.
"""

from decimal import Decimal, DecimalException
from typing import Any

import msgspec

from app.base.money import NanoUSD, parse_usd
from app.domain.usage import Usage
from app.protocols.codec import UsageReport
from app.protocols.scanning import UNREADABLE, FrameScanner, as_word, count_of, json_bytes, text_bytes
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


class _Rest(msgspec.Struct, gc=False):
    """What still matters of a chunk whose choices are not of this shape."""

    usage: Any = None
    error: Any = None


def exact_number(written: str) -> Decimal:
    """A number with decimals as it is written, since prices are told so; zero for one beyond all bounds."""
    try:
        return Decimal(written)
    except DecimalException:
        return Decimal(0)


_decode_completion = msgspec.json.Decoder(_Completion, float_hook=exact_number).decode
_decode_rest = msgspec.json.Decoder(_Rest, float_hook=exact_number).decode


def usage_of(usage: object) -> Usage | None:
    """The disjoint counts of a usage object; None for what is none."""
    prompt, completion = count_of(usage, "prompt_tokens"), count_of(usage, "completion_tokens")
    if not isinstance(usage, dict) or (prompt is None and completion is None):
        return None
    left = prompt or 0
    details = usage.get("prompt_tokens_details")
    # Each class is taken out of the prompt at most once, whatever a host adds up.
    cache_read = min(left, _first(count_of(details, "cached_tokens"), count_of(usage, "prompt_cache_hit_tokens")))
    left -= cache_read
    cache_write = min(
        left, _first(count_of(details, "cache_write_tokens"), count_of(usage, "cache_creation_input_tokens"))
    )
    left -= cache_write
    audio_input = min(left, _first(count_of(details, "audio_tokens")))
    output, reasoning, audio_output = _output_classes(usage, prompt or 0, completion or 0)
    return Usage(
        input=left - audio_input,
        cache_read=cache_read,
        cache_write_5m=cache_write,
        output=output,
        reasoning=reasoning,
        audio_input=audio_input,
        audio_output=audio_output,
        web_searches=_first(count_of(usage.get("server_tool_use"), "web_search_requests")),
    )


def cost_of(usage: object) -> NanoUSD | None:
    """The price that OpenRouter tells in dollars; None where there is none, or no sensible one.

    With the customer's own key at the provider (``is_byok``) it is only OpenRouter's fee, and the rest beside it.
    """
    if not isinstance(usage, dict):
        return None
    cost = _dollars(usage.get("cost"))
    details = usage.get("cost_details")
    if cost is None or usage.get("is_byok") is not True or not isinstance(details, dict):
        return cost
    return cost + (_dollars(details.get("upstream_inference_cost")) or 0)


def _dollars(value: object) -> NanoUSD | None:
    if type(value) is not int and not isinstance(value, Decimal):
        return None
    try:
        amount = parse_usd(Decimal(value))
    except (ValueError, DecimalException):
        return None
    return amount if amount >= 0 else None


def _output_classes(usage: dict[str, Any], prompt: int, completion: int) -> tuple[int, int, int]:
    """(output with its reasoning, reasoning, audio)"""
    details = usage.get("completion_tokens_details")
    reasoning = _first(count_of(details, "reasoning_tokens"))
    # xAI counts the reasoning beside the completion, which only its total tells.
    if reasoning and count_of(usage, "total_tokens") == prompt + completion + reasoning:
        completion += reasoning
    audio = min(completion, _first(count_of(details, "audio_tokens")))
    output = completion - audio
    return output, min(reasoning, output), audio


def scan_response(body: bytes) -> UsageReport:
    """Usage of a whole answer (an embedding's too); an unreadable one reports nothing."""
    completion = _read(body)
    if completion is None:
        return UsageReport(usage=None, final=False, output_bytes=0)
    usage = usage_of(completion.usage)
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

    def report(self) -> UsageReport:
        return msgspec.structs.replace(super().report(), cost=self._cost)

    @property
    def complete(self) -> bool:
        """Some hosts never send [DONE]: a finish reason at the end of a whole frame is an end as well."""
        return self.ended or self.failed or (self._finish_reason is not None and self._splitter.at_boundary)

    def _see(self, frame: bytes) -> bool:
        data = data_of(frame)
        try:
            chunk: _Completion | None = _decode_completion(data)
        except UNREADABLE:
            chunk = _read(data)
        if chunk is None:
            if data.strip() == b"[DONE]":
                self.ended = True
                self._counted_all = self._usage is not None
            return True
        choices = chunk.choices
        if choices:
            for choice in choices:
                self._see_choice(choice)
        if chunk.error is not None:
            self.failed = True
        if chunk.usage is None:
            return True
        usage = usage_of(chunk.usage)
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


def _read(data: bytes) -> _Completion | None:
    try:
        return _decode_completion(data)
    except msgspec.ValidationError:
        pass
    except UNREADABLE:
        return None
    try:
        rest = _decode_rest(data)
    except UNREADABLE:
        return None
    return _Completion(usage=rest.usage, error=rest.error)


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


def _first(*counts: int | None) -> int:
    return next((count for count in counts if count is not None), 0)
