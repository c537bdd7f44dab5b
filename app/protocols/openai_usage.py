"""CompletionUsage, what chat and text completions count: read of hosts into our classes.

Source: the public API reference, and those of DeepSeek, OpenRouter and xAI where they differ. The wire's classes
overlap (the prompt holds what was cached, the completion what was reasoned); ours do not.
"""

from decimal import Decimal, DecimalException

import msgspec

from app.base.money import NanoUSD, parse_usd
from app.domain.usage import Usage
from app.protocols.scanning import Count, count_of
from app.protocols.service_tiers import openai_service

_PLAIN_COUNTS = (
    "prompt_tokens", "completion_tokens", "total_tokens", "prompt_cache_hit_tokens", "cache_creation_input_tokens",
)  # fmt: skip


def exact_number(written: str) -> Decimal:
    """A number with decimals as it is written, since prices are told so; zero for one beyond all bounds."""
    try:
        return Decimal(written)
    except DecimalException:
        return Decimal(0)


class _PromptDetails(msgspec.Struct, gc=False):
    cached_tokens: Count = None
    cache_write_tokens: Count = None
    audio_tokens: Count = None


class _CompletionDetails(msgspec.Struct, gc=False):
    reasoning_tokens: Count = None
    audio_tokens: Count = None


class _Searches(msgspec.Struct, gc=False):
    web_search_requests: Count = None


class _Counted(msgspec.Struct, gc=False):
    """What hosts count, as they write it; ``prompt_cache_hit_tokens`` is DeepSeek's."""

    prompt_tokens: Count = None
    completion_tokens: Count = None
    total_tokens: Count = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    prompt_cache_hit_tokens: Count = None
    cache_creation_input_tokens: Count = None
    server_tool_use: _Searches | None = None


_NO_PROMPT, _NO_COMPLETION, _NO_SEARCHES = _PromptDetails(), _CompletionDetails(), _Searches()


def usage_of(usage: object, service_tier: object = None) -> Usage | None:
    """The disjoint counts of a usage object; None for what is none. ``service_tier`` stands beside it."""
    counted = _read_counts(usage)
    if counted is None or (counted.prompt_tokens is None and counted.completion_tokens is None):
        return None
    left = prompt = counted.prompt_tokens or 0
    details = counted.prompt_tokens_details or _NO_PROMPT
    # Each class is taken out of the prompt at most once, whatever a host adds up.
    cached = counted.prompt_cache_hit_tokens if details.cached_tokens is None else details.cached_tokens
    cache_read = min(left, cached or 0)
    left -= cache_read
    written = counted.cache_creation_input_tokens if details.cache_write_tokens is None else details.cache_write_tokens
    cache_write = min(left, written or 0)
    left -= cache_write
    audio_input = min(left, details.audio_tokens or 0)
    output, reasoning, audio_output = _output_classes(counted, prompt)
    return Usage(
        input=left - audio_input,
        cache_read=cache_read,
        cache_write_5m=cache_write,
        output=output,
        reasoning=reasoning,
        audio_input=audio_input,
        audio_output=audio_output,
        web_searches=(counted.server_tool_use or _NO_SEARCHES).web_search_requests or 0,
        service=openai_service(service_tier),
    )


def _read_counts(usage: object) -> _Counted | None:
    try:
        return msgspec.convert(usage, _Counted)
    except msgspec.ValidationError:
        return _read_counts_loosely(usage)


def _read_counts_loosely(usage: object) -> _Counted | None:
    """Where one of them is no count, the others are all the same."""
    if not isinstance(usage, dict):
        return None
    prompt, completion = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    return _Counted(
        **{name: count_of(usage, name) for name in _PLAIN_COUNTS},
        prompt_tokens_details=_PromptDetails(*(count_of(prompt, name) for name in _PromptDetails.__struct_fields__)),
        completion_tokens_details=_CompletionDetails(
            *(count_of(completion, name) for name in _CompletionDetails.__struct_fields__)
        ),
        server_tool_use=_Searches(count_of(usage.get("server_tool_use"), "web_search_requests")),
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


def _output_classes(counted: _Counted, prompt: int) -> tuple[int, int, int]:
    """(output with its reasoning, reasoning, audio)"""
    completion = counted.completion_tokens or 0
    details = counted.completion_tokens_details or _NO_COMPLETION
    reasoning = details.reasoning_tokens or 0
    # xAI counts the reasoning beside the completion, which only its total tells.
    if reasoning and counted.total_tokens == prompt + completion + reasoning:
        completion += reasoning
    audio = min(completion, details.audio_tokens or 0)
    output = completion - audio
    return output, min(reasoning, output), audio
