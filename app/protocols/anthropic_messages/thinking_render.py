"""How a Claude is asked to think, how much it may write, and how it may sample: three knobs that bind one another.

Sources: the public guides on extended and adaptive thinking and on effort. With thinking on, the API refuses any
temperature, ``top_k`` and a forced tool; ``budget_tokens`` is at least 1024 and below ``max_tokens``.
"""

from typing import Any

import msgspec

from app.base.errors import InvalidRequest
from app.protocols.anthropic_messages.draft import EFFORT, Draft
from app.protocols.anthropic_messages.turn_render import lacks_thinking
from app.protocols.anthropic_messages.wire import decode_anything
from app.protocols.conversation import Reasoning
from app.protocols.output_limits import most_output_tokens

DEFAULT_MAX_TOKENS = 4096
_AGENTS_MAX_TOKENS = 32_000
_SMALLEST_BUDGET = 1024
_BUDGETS = {"minimal": 1024, "low": 1024, "medium": 2048, "high": 4096, "xhigh": 8192, "max": 16384}
_WORDS = {"minimal": "low", "xhigh": "high"}
_FIELD = "reasoning_effort"


class Plan(msgspec.Struct):
    """``thinking`` is the field of that name. ``effort`` goes into ``output_config``."""

    max_tokens: int
    thinking: dict[str, Any] | None = None
    effort: str | None = None

    @property
    def thinks(self) -> bool:
        return self.thinking is not None and self.thinking.get("type") != "disabled"


def plan_thinking(draft: Draft) -> Plan:
    conversation = draft.conversation
    plan = Plan(conversation.max_output_tokens or _default_max_tokens(draft))
    written = draft.claim("thinking")
    if written is not None:
        plan.thinking = _as_written(written)
    elif conversation.reasoning is not None:
        _take(plan, conversation.reasoning, draft)
    if plan.thinking is not None and plan.thinking.get("type") == "enabled":
        field = "thinking" if written is not None else _FIELD
        if lacks_thinking(draft):
            draft.losses.drop(field)
            plan.thinking = None
        else:
            _fit_budget(plan, draft, field)
    return plan


def _default_max_tokens(draft: Draft) -> int:
    """Agents of other protocols name no maximum, and write whole files into the arguments of their tools."""
    if not draft.conversation.tools:
        return DEFAULT_MAX_TOKENS
    return min(most_output_tokens(draft.conversation.model) or _AGENTS_MAX_TOKENS, _AGENTS_MAX_TOKENS)


def render_sampling(draft: Draft, plan: Plan) -> dict[str, Any]:
    sampling, losses = draft.conversation.sampling, draft.losses
    for name in ("seed", "frequency_penalty", "presence_penalty"):
        if getattr(sampling, name) is not None:
            losses.drop(name)
    fields: dict[str, Any] = {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": sampling.top_k}
    if (top_k := draft.claim("top_k")) is not None and sampling.top_k is None:
        fields["top_k"] = decode_anything(top_k.encode())
    fields = {name: value for name, value in fields.items() if value is not None}
    if plan.thinks or not draft.traits.sampling:
        for name, value in fields.items():
            if name == "top_k" or value != 1:
                losses.drop(name)
        return {}
    if fields.get("temperature", 0) > 1:
        losses.approximate("temperature")
        fields["temperature"] = 1
    if "temperature" in fields and "top_p" in fields:
        losses.drop("top_p")
        del fields["top_p"]
    return fields


def render_stop(draft: Draft) -> list[str]:
    """The API refuses an end mark of white space alone."""
    marks: list[Any] = list(draft.conversation.sampling.stop)
    if (written := draft.claim("stop_sequences")) is not None:
        extra = decode_anything(written.encode())
        if not isinstance(extra, list) or not all(isinstance(mark, str) for mark in extra):
            raise InvalidRequest('"stop_sequences" must be a list of texts', param="stop_sequences")
        marks += [mark for mark in extra if mark not in marks]
    kept = [mark for mark in marks if mark.strip()]
    if len(kept) < len(marks):
        draft.losses.drop("stop")
    return kept


def _as_written(written: str) -> dict[str, Any]:
    thinking = decode_anything(written.encode())
    if not isinstance(thinking, dict):
        raise InvalidRequest('"thinking" must be an object such as {"type": "enabled"}', param="thinking")
    return thinking


def _take(plan: Plan, reasoning: Reasoning, draft: Draft) -> None:
    traits = draft.traits
    if reasoning.effort == "none":
        plan.thinking = {"type": "disabled"} if traits.thinking == "adaptive" else None
        return
    wished = reasoning.effort is not None or reasoning.adaptive or reasoning.budget_tokens is not None
    if not wished:
        return
    if traits.thinking == "none":
        draft.losses.drop(_FIELD)
        return
    if reasoning.budget_tokens is not None and traits.budgets:
        plan.thinking = {"type": "enabled", "budget_tokens": reasoning.budget_tokens}
        if reasoning.effort is not None and traits.efforts:
            plan.effort = _effort(reasoning.effort, draft)
    elif traits.thinking == "adaptive":
        plan.thinking = {"type": "adaptive"}
        plan.effort = _effort(_word_of(reasoning, draft), draft)
    elif traits.thinking == "effort" and reasoning.effort is not None and not reasoning.adaptive:
        plan.effort = _effort(reasoning.effort, draft)
        draft.ask_for((EFFORT,))
    else:
        plan.thinking = {"type": "enabled", "budget_tokens": _BUDGETS[reasoning.effort or "high"]}
    if plan.thinking is not None and reasoning.shown is not None:
        plan.thinking["display"] = "summarized" if reasoning.shown else "omitted"


def _word_of(reasoning: Reasoning, draft: Draft) -> str | None:
    """The effort wished for; a budget is put into a word where the model takes no budget."""
    if reasoning.effort is not None or reasoning.budget_tokens is None:
        return reasoning.effort
    draft.losses.approximate("thinking.budget_tokens")
    if reasoning.budget_tokens < _BUDGETS["medium"]:
        return "low"
    return "medium" if reasoning.budget_tokens < _BUDGETS["high"] else "high"


def _effort(word: str | None, draft: Draft) -> str | None:
    if word is None or word in draft.traits.efforts:
        return word
    draft.losses.approximate(_FIELD)
    nearest = _WORDS.get(word, "high")
    return nearest if nearest in draft.traits.efforts else None


def _fit_budget(plan: Plan, draft: Draft, field: str) -> None:
    """Who named a maximum keeps it, and thinks less."""
    thinking = plan.thinking
    budget = thinking.get("budget_tokens") if thinking is not None else None
    if thinking is None or type(budget) is not int or budget < plan.max_tokens:
        return
    if draft.conversation.max_output_tokens is None:
        plan.max_tokens = budget + DEFAULT_MAX_TOKENS
    elif plan.max_tokens > _SMALLEST_BUDGET:
        draft.losses.approximate(field)
        thinking["budget_tokens"] = plan.max_tokens - 1
    else:
        draft.losses.drop(field)
        plan.thinking = None
