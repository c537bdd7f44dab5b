"""The knobs of a request as Gemini's generationConfig, and the client's other fields."""

import msgspec

from app.base.errors import InvalidRequest
from app.protocols.conversation import Conversation, Effort, JsonFormat, Reasoning
from app.protocols.gemini.dialect import GeminiDialect
from app.protocols.gemini.models import ModelFacts
from app.protocols.gemini.proto import camel
from app.protocols.gemini.schemas import reduced
from app.protocols.losses import Losses

_MOST_STOPS = 5
_BUDGETS: dict[Effort, int] = {
    "none": 0,
    "minimal": 128,
    "low": 1024,
    "medium": 2048,
    "high": 4096,
    "xhigh": 8192,
    "max": 16_384,
}
_LEVELS: dict[Effort, tuple[str, ...]] = {
    "none": ("minimal", "low"),
    "minimal": ("minimal", "low"),
    "low": ("low",),
    "medium": ("medium", "high"),
    "high": ("high",),
    "xhigh": ("high",),
    "max": ("high",),
}
_LOW_BUDGET = 2048
_MEDIUM_BUDGET = 4096
_DYNAMIC = -1
_OWN_FIELDS = frozenset({"safetySettings", "cachedContent"})
_OWN_CONFIG = frozenset(
    {"speechConfig", "responseModalities", "mediaResolution", "imageConfig", "responseLogprobs", "logprobs"}
)
_CONFIG = "generationConfig."

Body = dict[str, object]


def render_config(conversation: Conversation, facts: ModelFacts, losses: Losses) -> Body:
    sampling = conversation.sampling
    if len(sampling.stop) > _MOST_STOPS:
        raise InvalidRequest(
            f"Gemini takes at most {_MOST_STOPS} stop sequences, not {len(sampling.stop)}; send fewer", param="stop"
        )
    values: Body = {
        "maxOutputTokens": conversation.max_output_tokens,
        "temperature": sampling.temperature,
        "topP": sampling.top_p,
        "topK": sampling.top_k,
        "seed": sampling.seed,
        "frequencyPenalty": sampling.frequency_penalty,
        "presencePenalty": sampling.presence_penalty,
        "stopSequences": sampling.stop or None,
    }
    config = {name: value for name, value in values.items() if value is not None}
    if conversation.output_format is not None:
        config |= _format(conversation.output_format, facts, losses)
    if conversation.reasoning is not None:
        thinking = _thinking(conversation.reasoning, facts, losses)
        if thinking:
            config["thinkingConfig"] = thinking
    for name, raw in conversation.extras.items():
        own = camel(name.removeprefix(_CONFIG))
        if own in _OWN_CONFIG:
            config[own] = msgspec.Raw(raw.encode())
    return config


def render_extras(conversation: Conversation, dialect: GeminiDialect, losses: Losses) -> Body:
    """The client's other fields that are Gemini's own; what is neither here nor in the config is a loss."""
    fields: Body = {}
    for name, raw in conversation.extras.items():
        own = camel(name)
        if own in _OWN_FIELDS or (own == "labels" and dialect.vertex):
            fields[own] = msgspec.Raw(raw.encode())
        elif own.removeprefix(_CONFIG) not in _OWN_CONFIG:
            losses.drop(name)
    if conversation.end_user is not None:
        losses.drop("user")
    return fields


def _format(output: JsonFormat, facts: ModelFacts, losses: Losses) -> Body:
    config: Body = {"responseMimeType": "application/json"}
    if output.schema is None:
        return config
    if facts.json_schema:
        config["responseJsonSchema"] = msgspec.Raw(output.schema.encode())
    else:
        config["responseSchema"] = reduced(output.schema, "response_format.schema", losses)
    return config


def _thinking(reasoning: Reasoning, facts: ModelFacts, losses: Losses) -> Body:
    if facts.thinks == "no":
        if reasoning.effort != "none":
            losses.drop("reasoning")
        return {}
    thinking = _budget(reasoning, facts, losses) if facts.thinks == "budget" else _level(reasoning, facts, losses)
    if reasoning.effort != "none":
        thinking["includeThoughts"] = reasoning.shown is not False
    return thinking


def _budget(reasoning: Reasoning, facts: ModelFacts, losses: Losses) -> Body:
    wanted = reasoning.budget_tokens
    if wanted is None and reasoning.effort is not None:
        wanted = _BUDGETS[reasoning.effort]
        if wanted == 0 and facts.can_stop:
            return {"thinkingBudget": 0}
        return {"thinkingBudget": min(max(wanted, facts.least), facts.most)}
    if wanted is None:
        return {"thinkingBudget": _DYNAMIC} if reasoning.adaptive else {}
    budget = min(max(wanted, facts.least), facts.most)
    if budget != wanted:
        losses.approximate("reasoning.budget_tokens")
    return {"thinkingBudget": budget}


def _level(reasoning: Reasoning, facts: ModelFacts, losses: Losses) -> Body:
    effort = reasoning.effort
    if effort is None and reasoning.budget_tokens is not None:
        losses.approximate("reasoning.budget_tokens")
        budget = reasoning.budget_tokens
        effort = "low" if budget < _LOW_BUDGET else "medium" if budget < _MEDIUM_BUDGET else "high"
    if effort is None:
        return {}
    return {"thinkingLevel": next(level for level in _LEVELS[effort] if level in facts.levels)}
