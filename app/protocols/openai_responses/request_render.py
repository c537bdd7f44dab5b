"""A Conversation as a request to a host of the Responses API."""

import msgspec

from app.protocols.codec import Dialect, Header, Reading, Rendered
from app.protocols.conversation import (
    Conversation,
    Effort,
    FunctionTool,
    JsonFormat,
    Reasoning,
    Sampling,
    Text,
    Thinking,
    Turn,
)
from app.protocols.losses import Losses, refusal, refuse_suffix
from app.protocols.naming import fitting_name, renamed
from app.protocols.openai_responses.input_render import TARGET, InputRenderer, holds_string_values
from app.protocols.openai_responses.seals import digest
from app.protocols.openai_responses.tools_render import render_tools
from app.protocols.openai_responses.traits import Traits, traits_of
from app.protocols.openai_responses.wire import encode
from app.protocols.output_limits import within_limits

LEAST_OUTPUT_TOKENS = 16
LONGEST_USER = 64
_FORMAT_NAME = "answer"
_UNKNOWN_SAMPLING = ("top_k", "seed", "frequency_penalty", "presence_penalty", "stop")
_TIERS = frozenset({'"auto"', '"default"', '"flex"', '"priority"', '"scale"'})
_LEVELS = frozenset({'"low"', '"medium"', '"high"'})
# Other clients' fields that mean the same here.
_CLAIMED = frozenset({"prompt_cache_key", "prompt_cache_retention", "max_tool_calls", "truncation"})
_HEADERS = ("openai-", "x-")


def render_request(conversation: Conversation, dialect: Dialect) -> Rendered:
    losses = Losses()
    refuse_suffix(conversation.extras, TARGET)
    conversation = within_limits(conversation, losses)
    traits = traits_of(conversation.model)
    fields: dict[str, object] = {"model": conversation.model}
    fields |= _render_instructions(conversation.instructions, losses)
    fields["input"] = _render_input(conversation.turns, dialect, losses)
    fields |= render_tools(conversation, losses)
    fields |= _render_sampling(conversation.sampling, traits, losses)
    if conversation.max_output_tokens is not None:
        fields["max_output_tokens"] = max(LEAST_OUTPUT_TOKENS, conversation.max_output_tokens)
        if conversation.max_output_tokens < LEAST_OUTPUT_TOKENS:
            losses.approximate("max_output_tokens")
    fields |= _render_reasoning(conversation, traits, losses)
    fields |= _render_text(conversation, losses)
    if conversation.end_user:
        fields["user"] = _render_user(conversation.end_user)
    fields |= _render_extras(conversation, losses)
    fields["store"] = False
    if conversation.stream:
        fields["stream"] = True
    names = renamed(tool.name for tool in conversation.tools if isinstance(tool, FunctionTool))
    return Rendered(
        encode(fields),
        Reading(dialect, names),
        _render_headers(conversation, losses),
        losses.gathered(),
        conversation.max_output_tokens,
    )


def _render_instructions(instructions: tuple[Text, ...], losses: Losses) -> dict[str, object]:
    if any(text.cache is not None for text in instructions):
        losses.drop("cache_control")
    told = [text.text for text in instructions if text.text]
    return {"instructions": "\n\n".join(told)} if told else {}


def _render_input(turns: tuple[Turn, ...], dialect: Dialect, losses: Losses) -> list[object]:
    renderer = InputRenderer(dialect.issuer, losses)
    for turn in turns:
        renderer.take(turn)
    if not renderer.items:
        raise refusal("a conversation without any content", TARGET, "send a message of the user")
    return list(renderer.items)


def _render_sampling(sampling: Sampling, traits: Traits, losses: Losses) -> dict[str, object]:
    fields: dict[str, object] = {}
    for name, value in (("temperature", sampling.temperature), ("top_p", sampling.top_p)):
        if value is None:
            continue
        if traits.sampling:
            fields[name] = value
        else:
            losses.drop(name)
    for name in _UNKNOWN_SAMPLING:
        if getattr(sampling, name) not in (None, ()):
            losses.drop(name)
    return fields


def _render_reasoning(conversation: Conversation, traits: Traits, losses: Losses) -> dict[str, object]:
    """``reasoning`` as asked for, and the proofs of it wherever the model may reason."""
    asked = conversation.reasoning
    if traits.reasoning is False:
        if asked is not None and asked.effort != "none":
            losses.drop("reasoning")
        return {}
    fields: dict[str, object] = {}
    reasoning: dict[str, object] = {}
    if asked is not None:
        effort = _effort_of(asked, traits, losses)
        if effort is not None:
            reasoning["effort"] = effort
        if asked.shown and effort != "none":
            reasoning["summary"] = "auto"
    if reasoning:
        fields["reasoning"] = reasoning
    if traits.reasoning or reasoning or _holds_thinking(conversation.turns):
        fields["include"] = ["reasoning.encrypted_content"]
    return fields


def _effort_of(asked: Reasoning, traits: Traits, losses: Losses) -> Effort | None:
    effort = asked.effort
    if effort is None and asked.budget_tokens is not None:
        losses.approximate("reasoning.budget_tokens")
        effort = "low" if asked.budget_tokens < 2048 else "medium" if asked.budget_tokens < 4096 else "high"
    if effort is None:
        return None
    nearest = traits.nearest(effort)
    if nearest != effort:
        losses.approximate("reasoning.effort")
    return nearest


def _holds_thinking(turns: tuple[Turn, ...]) -> bool:
    return any(isinstance(block, Thinking) for turn in turns for block in turn.blocks)


def _render_text(conversation: Conversation, losses: Losses) -> dict[str, object]:
    text: dict[str, object] = {}
    if conversation.output_format is not None:
        text["format"] = _render_format(conversation.output_format)
    verbosity = conversation.extras.get("verbosity")
    if verbosity in _LEVELS:
        text["verbosity"] = msgspec.Raw(verbosity.encode())
    elif verbosity is not None:
        losses.drop("verbosity")
    return {"text": text} if text else {}


def _render_format(wanted: JsonFormat) -> dict[str, object]:
    if wanted.schema is None:
        return {"type": "json_object"}
    fields: dict[str, object] = {
        "type": "json_schema",
        "name": fitting_name(wanted.name or _FORMAT_NAME),
        "schema": msgspec.Raw(wanted.schema.encode()),
    }
    if wanted.description is not None:
        fields["description"] = wanted.description
    if wanted.strict is not None:
        fields["strict"] = wanted.strict
    return fields


def _render_user(end_user: str) -> str:
    """Never an address of a person, and never longer than the API takes; the same for the same user."""
    return digest(end_user, LONGEST_USER) if len(end_user) > LONGEST_USER or "@" in end_user else end_user


def _render_extras(conversation: Conversation, losses: Losses) -> dict[str, object]:
    fields: dict[str, object] = {}
    for name, text in conversation.extras.items():
        known = (
            name in _CLAIMED
            or (name == "service_tier" and text in _TIERS)
            or (name == "metadata" and holds_string_values(text))
        )
        if known:
            fields[name] = msgspec.Raw(text.encode())
        elif name != "verbosity":
            losses.drop(name)
    return fields


def _render_headers(conversation: Conversation, losses: Losses) -> tuple[Header, ...]:
    headers: list[Header] = []
    for name, value in conversation.headers:
        if name.startswith(_HEADERS):
            headers.append((name.encode(), value.encode()))
        else:
            losses.drop(name)
    return tuple(headers)
