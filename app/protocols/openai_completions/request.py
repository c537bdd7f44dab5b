"""A text completion's request: a lone prompt that becomes a lone question, and the reverse."""

from collections.abc import Mapping
from typing import Any

import msgspec

from app.base.errors import InvalidRequest
from app.protocols.codec import Envelope, Reading, Rendered
from app.protocols.conversation import Conversation, Sampling, Text, Turn
from app.protocols.envelope import read_count, read_flag, read_loosely
from app.protocols.losses import Losses, refusal
from app.protocols.openai_completions.dialect import CompletionsDialect
from app.protocols.openai_completions.wire import NULL, Whole, encode
from app.protocols.raw_json import is_null, read, text_of

_LARGEST_N = 128
_TARGET = "text completions"
_ADVICE = "ask for a model that is served as a chat"
_CANONICAL = frozenset(
    {
        "model", "prompt", "max_tokens", "temperature", "top_p", "seed", "stop", "frequency_penalty",
        "presence_penalty", "user", "stream", "stream_options", "n", "echo",
    }
)  # fmt: skip
_OWN_FIELDS = frozenset({"suffix", "best_of", "logit_bias"})

_decode_number = msgspec.json.Decoder(float | None).decode
_decode_whole = msgspec.json.Decoder(Whole | None).decode
_decode_stop = msgspec.json.Decoder(str | list[str] | None).decode


def max_output_tokens(fields: Mapping[str, msgspec.Raw]) -> int | None:
    """Of all the answers that the caller asks for: one for each prompt, or as many as the model tries."""
    asked = read_count(fields, "max_tokens")
    choices = 1
    for name in ("n", "best_of"):
        count = read_count(fields, name) or 1
        if count > _LARGEST_N:
            raise InvalidRequest(f'"{name}" must be at most {_LARGEST_N}', param=name)
        choices = max(choices, count)
    return None if asked is None else asked * choices * _count_of_prompts(fields)


def wants_usage(fields: Mapping[str, msgspec.Raw]) -> bool:
    """Raises InvalidRequest where ``stream_options`` is no object."""
    options = read_loosely(fields, "stream_options")
    if options is not None and not isinstance(options, dict):
        raise InvalidRequest('"stream_options" must be an object', param="stream_options")
    return options is not None and options.get("include_usage") is True


def parse_request(envelope: Envelope) -> Conversation:
    fields = envelope.fields
    if (read_count(fields, "n") or 1) > 1:
        raise refusal("more than one choice", "a translated protocol", 'send "n": 1', param="n")
    if read_flag(fields, "echo"):
        raise refusal("an echo of the prompt", "a translated protocol", 'leave out "echo"', param="echo")
    stop: str | list[str] | None = read(_decode_stop, fields.get("stop", NULL), "stop")
    return Conversation(
        model=envelope.model,
        turns=(Turn("user", (Text(_parse_prompt(fields)),)),),
        sampling=Sampling(
            temperature=_number(fields, "temperature"),
            top_p=_number(fields, "top_p"),
            seed=read(_decode_whole, fields.get("seed", NULL), "seed"),
            frequency_penalty=_number(fields, "frequency_penalty"),
            presence_penalty=_number(fields, "presence_penalty"),
            stop=(stop,) if isinstance(stop, str) else tuple(stop or ()),
        ),
        max_output_tokens=read_count(fields, "max_tokens"),
        stream=envelope.stream,
        end_user=envelope.customer,
        extras={
            name: text_of(value) for name, value in fields.items() if name not in _CANONICAL and not is_null(value)
        },
    )


def render_request(conversation: Conversation, dialect: CompletionsDialect) -> Rendered:
    """Raises InvalidRequest for all that is more than one question in text."""
    losses = Losses()
    body: dict[str, Any] = {"model": conversation.model, "prompt": _render_prompt(conversation)}
    sampling = conversation.sampling
    said = {
        "max_tokens": conversation.max_output_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": sampling.seed,
        "stop": list(sampling.stop) or None,
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
        "user": conversation.end_user,
        "stream": conversation.stream or None,
        "stream_options": {"include_usage": True} if conversation.stream else None,
    }
    body.update((name, value) for name, value in said.items() if value is not None)
    for name, written in conversation.extras.items():
        if name in _OWN_FIELDS:
            body[name] = msgspec.Raw(written.encode())
        else:
            losses.drop(name)
    if sampling.top_k is not None:
        losses.drop("top_k")
    if conversation.reasoning is not None and conversation.reasoning.effort != "none":
        losses.drop("reasoning")
    for name, _ in conversation.headers:
        losses.drop(f"extra_headers.{name}")
    return Rendered(encode(body), Reading(dialect), losses=losses.gathered())


def _number(fields: Mapping[str, msgspec.Raw], name: str) -> float | None:
    number: float | None = read(_decode_number, fields.get(name, NULL), name)
    return number


def _count_of_prompts(fields: Mapping[str, msgspec.Raw]) -> int:
    prompt = read_loosely(fields, "prompt")
    # A list of numbers is one prompt in tokens.
    if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int):
        return len(prompt)
    return 1


def _parse_prompt(fields: Mapping[str, msgspec.Raw]) -> str:
    prompt = read_loosely(fields, "prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if isinstance(prompt, str) and prompt:
        return prompt
    if isinstance(prompt, list) and prompt and all(isinstance(text, str) for text in prompt):
        raise refusal("several prompts", "a translated protocol", "send one prompt a request", param="prompt")
    if isinstance(prompt, list | int) and prompt:
        raise refusal("a prompt in tokens", "a translated protocol", "send its text", param="prompt")
    raise InvalidRequest('"prompt" must be a text that is not empty', param="prompt")


def _render_prompt(conversation: Conversation) -> str:
    if conversation.instructions:
        raise refusal("a system prompt", _TARGET, _ADVICE, param="messages")
    choice = conversation.tool_choice
    if conversation.tools and not (choice is not None and choice.mode == "none"):
        raise refusal("a tool", _TARGET, _ADVICE, param="tools")
    if conversation.output_format is not None:
        raise refusal("a format for the answer", _TARGET, _ADVICE, param="response_format")
    turns = conversation.turns
    if len(turns) != 1 or turns[0].role != "user":
        raise refusal("a conversation of several turns", _TARGET, _ADVICE, param="messages")
    texts: list[str] = []
    for block in turns[0].blocks:
        if not isinstance(block, Text):
            raise refusal("what is no text", _TARGET, _ADVICE, param="messages.0.content")
        texts.append(block.text)
    return "\n\n".join(texts)
