"""CompletionUsage, what chat and text completions count: read of hosts into our classes.

Source: the public API reference, and those of DeepSeek, OpenRouter and xAI where they differ. The wire's classes
overlap (the prompt holds what was cached, the completion what was reasoned); ours do not.
"""

from decimal import Decimal, DecimalException
from typing import Any

from app.base.money import NanoUSD, parse_usd
from app.domain.usage import Usage
from app.protocols.scanning import count_of
from app.protocols.service_tiers import openai_service


def exact_number(written: str) -> Decimal:
    """A number with decimals as it is written, since prices are told so; zero for one beyond all bounds."""
    try:
        return Decimal(written)
    except DecimalException:
        return Decimal(0)


def usage_of(usage: object, service_tier: object = None) -> Usage | None:
    """The disjoint counts of a usage object; None for what is none. ``service_tier`` stands beside it."""
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
        service=openai_service(service_tier),
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


def _first(*counts: int | None) -> int:
    return next((count for count in counts if count is not None), 0)
