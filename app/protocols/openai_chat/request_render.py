"""A Conversation as the request to a host that speaks chat completions."""

from collections.abc import Mapping
from typing import Any

import msgspec

from app.protocols.codec import Header, Reading, Rendered
from app.protocols.conversation import Conversation, FunctionTool, JsonFormat, Reasoning, Sampling
from app.protocols.losses import Losses, refuse_suffix
from app.protocols.naming import fitting_name, renamed
from app.protocols.openai_chat.dialect import ChatDialect
from app.protocols.openai_chat.headers import wanted_headers
from app.protocols.openai_chat.messages_render import render_messages, schema_text, speaks_of_json
from app.protocols.openai_chat.models import Traits, effort_of_budget, nearest_effort, traits_of
from app.protocols.openai_chat.parts_render import TARGET
from app.protocols.openai_chat.tools_render import render_tools
from app.protocols.output_limits import within_limits

_LONGEST_USER = 64
_MOST_STOPS = 4
_JSON_HINT = "Answer with one JSON object and nothing else."

_INVENTORS_FIELDS = frozenset({"logit_bias", "prediction", "prompt_cache_key", "prompt_cache_retention", "verbosity"})
"""Of the fields that are OpenAI's alone, those whose answer is no other for them."""
_COMMON_TIERS = frozenset({'"auto"', '"default"'})
_OTHER_VENDORS_HEADERS = ("anthropic-", "x-goog-", "x-stainless-")
# What is no wish: leaving it out changes nothing.
_EMPTY_WISHES = {"store": "false", "logprobs": "false", "metadata": "{}"}

_PENALTIES = ("frequency_penalty", "presence_penalty")


def render_request(conversation: Conversation, dialect: ChatDialect) -> Rendered:
    """Raises InvalidRequest for content that this protocol or this host cannot say."""
    losses = Losses()
    refuse_suffix(conversation.extras, TARGET)
    conversation = within_limits(conversation, losses)
    traits = traits_of(conversation.model)
    output_format, system_tail = _render_format(conversation.output_format, dialect, losses)
    messages = render_messages(conversation, dialect, losses, system_tail)
    if output_format == {"type": "json_object"} and not speaks_of_json(messages):
        messages = render_messages(conversation, dialect, losses, _JSON_HINT)
    fields: dict[str, Any] = {"model": conversation.model, "messages": messages}
    if output_format:
        fields["response_format"] = output_format
    fields |= render_tools(conversation, dialect, traits, losses)
    fields |= _render_sampling(conversation.sampling, dialect, traits, losses)
    if conversation.max_output_tokens is not None:
        name = "max_completion_tokens" if traits.only_new_limit else dialect.max_tokens_field
        fields[name] = conversation.max_output_tokens
    if conversation.reasoning is not None:
        fields |= _render_reasoning(conversation.reasoning, dialect, traits, losses)
    if conversation.end_user is not None:
        fields |= _render_user(conversation.end_user, dialect, losses)
    if conversation.stream:
        fields["stream"] = True
        if dialect.stream_usage:
            fields["stream_options"] = {"include_usage": True}
    fields |= _claimed(conversation.extras, dialect, losses)
    names = renamed(tool.name for tool in conversation.tools if isinstance(tool, FunctionTool))
    return Rendered(
        msgspec.json.encode(fields),
        Reading(dialect, names),
        _render_headers(conversation, losses),
        losses.gathered(),
        conversation.max_output_tokens,
    )


def _render_format(
    wanted: JsonFormat | None, dialect: ChatDialect, losses: Losses
) -> tuple[dict[str, Any] | None, str]:
    """(response_format, a text for the system)"""
    if wanted is None:
        return None, ""
    if wanted.schema is None:
        return {"type": "json_object"}, ""
    if not dialect.json_schema:
        losses.approximate("response_format")
        return {"type": "json_object"}, schema_text(wanted.schema)
    schema: dict[str, Any] = {"name": fitting_name(wanted.name or "answer")}
    if wanted.description is not None:
        schema["description"] = wanted.description
    schema["schema"] = msgspec.Raw(wanted.schema.encode())
    if wanted.strict is not None and dialect.strict_tools:
        schema["strict"] = wanted.strict
    return {"type": "json_schema", "json_schema": schema}, ""


def _render_sampling(sampling: Sampling, dialect: ChatDialect, traits: Traits, losses: Losses) -> dict[str, Any]:
    wanted: dict[str, Any] = {
        name: value
        for name in ("temperature", "top_p", "top_k", "seed", *_PENALTIES)
        if (value := getattr(sampling, name)) is not None
    }
    if sampling.stop:
        wanted["stop"] = list(sampling.stop[:_MOST_STOPS])
        if len(sampling.stop) > _MOST_STOPS and traits.sampling:
            losses.approximate("stop")
    refused = set() if traits.sampling else {"temperature", "top_p", "stop", *_PENALTIES}
    refused |= {name for name, taken in (("top_k", dialect.top_k), ("seed", dialect.seed)) if not taken}
    if not dialect.penalties:
        refused.update(_PENALTIES)
    for name in refused & wanted.keys():
        del wanted[name]
        losses.drop(name)
    return wanted


def _render_reasoning(reasoning: Reasoning, dialect: ChatDialect, traits: Traits, losses: Losses) -> dict[str, Any]:
    match dialect.reasoning:
        case "effort":
            return _as_effort(reasoning, traits, losses)
        case "switch":
            return _as_switch(reasoning, losses)
        case "object":
            asked = _as_object(reasoning)
            return {"reasoning": asked} if asked else {}
        case "none":
            losses.drop("reasoning")
            return {}


def _as_effort(reasoning: Reasoning, traits: Traits, losses: Losses) -> dict[str, Any]:
    asked = reasoning.effort
    if asked is None and reasoning.budget_tokens is not None:
        asked = effort_of_budget(reasoning.budget_tokens)
    if asked is None:
        # An adaptive model decides for itself, as one that reasons here does unasked.
        if not traits.efforts:
            losses.drop("reasoning")
        return {}
    said = nearest_effort(asked, traits.efforts)
    if said is None:
        if asked != "none" or traits.efforts:
            losses.drop("reasoning")
        return {}
    if said != asked or reasoning.budget_tokens:
        losses.approximate("reasoning")
    return {"reasoning_effort": said}


def _as_switch(reasoning: Reasoning, losses: Losses) -> dict[str, Any]:
    if not _is_wish(reasoning):
        return {}
    if reasoning.budget_tokens:
        losses.drop("reasoning.budget_tokens")
    if reasoning.effort not in {None, "none"}:
        losses.approximate("reasoning.effort")
    off = reasoning.effort == "none" or reasoning.budget_tokens == 0
    return {"thinking": {"type": "disabled" if off else "enabled"}}


def _is_wish(reasoning: Reasoning) -> bool:
    """Who only wants to see the thoughts does not ask for any."""
    return reasoning.effort is not None or reasoning.budget_tokens is not None or reasoning.adaptive


def _as_object(reasoning: Reasoning) -> dict[str, Any]:
    if reasoning.effort == "none" or reasoning.budget_tokens == 0:
        return {"enabled": False}
    # One or the other: the host refuses both at once, and the budget is the exact wish.
    asked: dict[str, Any]
    if reasoning.budget_tokens is not None:
        asked = {"max_tokens": reasoning.budget_tokens}
    elif reasoning.effort is not None:
        asked = {"effort": "xhigh" if reasoning.effort == "max" else reasoning.effort}
    else:
        asked = {"enabled": True} if reasoning.adaptive else {}
    if reasoning.shown is False:
        asked["exclude"] = True
    return asked


def _render_user(end_user: str, dialect: ChatDialect, losses: Losses) -> dict[str, Any]:
    if not dialect.user or len(end_user) > _LONGEST_USER:
        losses.drop("user")
        return {}
    return {"user": end_user}


def _claimed(extras: Mapping[str, str], dialect: ChatDialect, losses: Losses) -> dict[str, Any]:
    """Those of the client's other fields that the host knows under the same name and in the same meaning."""
    claimed: dict[str, Any] = {}
    for name, text in extras.items():
        known = name in dialect.own_fields or (dialect.is_inventor and name in _INVENTORS_FIELDS)
        if known or (name == "service_tier" and dialect.is_inventor and text in _COMMON_TIERS):
            claimed[name] = msgspec.Raw(text.encode())
        elif _EMPTY_WISHES.get(name) != text:
            losses.drop(name)
    return claimed


def _render_headers(conversation: Conversation, losses: Losses) -> tuple[Header, ...]:
    headers: list[Header] = []
    for name, value in wanted_headers(dict(conversation.headers)):
        if name.startswith(_OTHER_VENDORS_HEADERS):
            losses.drop(f"headers.{name}")
        else:
            headers.append((name.encode(), value.encode()))
    return tuple(headers)
