"""A Conversation as a request to a host that is Ollama, for either endpoint."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from app.protocols.codec import Reading, Rendered
from app.protocols.conversation import (
    Conversation,
    Effort,
    FunctionTool,
    McpServer,
    Reasoning,
    WebSearch,
)
from app.protocols.losses import Losses, refusal
from app.protocols.ollama.dialect import OllamaDialect
from app.protocols.ollama.json_tools import JsonCallReading, instruction, offered
from app.protocols.ollama.message_render import TARGET, Messages, RenderedMessage
from app.protocols.ollama.prompt_render import render_prompt
from app.protocols.ollama.wire import decode_members, encode
from app.protocols.raw_json import is_object

_Body = dict[str, Any]
_OWN_FIELDS = frozenset({"keep_alive", "truncate", "shift"})
_GENERATE_FIELDS = frozenset({"suffix", "template", "raw", "context"})
_OWN_OPTIONS = frozenset(
    {
        "num_ctx", "num_keep", "num_batch", "num_gpu", "num_thread", "main_gpu", "use_mmap", "min_p", "typical_p",
        "tfs_z", "repeat_last_n", "repeat_penalty", "mirostat", "mirostat_tau", "mirostat_eta", "penalize_newline",
    }
)  # fmt: skip
"""Options that clients of other protocols send at the top level."""

# Agents of other vendors ask every model to think; one that cannot refuses the whole request.
_thinks = re.compile(
    r"qwen-?3|qwq|deepseek-(r1|v3\.|v4)|gpt-oss|magistral|phi-?4.*reason|exaone-deep|cogito|smollm3|glm-?[45]|kimi-k2"
    r"|minimax-m|nemotron|granite[34]|thinking|reason",
    re.IGNORECASE,
).search
# Only these models take a level; to the others thinking is on or off.
_MODELS_WITH_LEVELS = "gpt-oss"
_LEVELS: Mapping[Effort, str] = {
    "none": "low",
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}


def render_request(conversation: Conversation, dialect: OllamaDialect) -> Rendered:
    losses = Losses()
    tools = _tools(conversation, losses)
    json_calls = bool(tools) and (dialect.generate or not dialect.native_tools)
    body: _Body = {"model": conversation.model}
    messages = Messages(
        conversation, losses, json_calls=json_calls or dialect.generate, shows_thoughts=not dialect.generate
    ).render()
    if dialect.generate and len(messages) > 1:
        losses.approximate("messages")
    instructions = _instructions(conversation, losses)
    if json_calls:
        must_call = conversation.tool_choice is not None and conversation.tool_choice.mode in {"any", "tool"}
        instructions.append(instruction(tools, conversation.output_format, must_call=must_call))
    _put_said(body, messages, instructions, dialect)
    if tools and not json_calls:
        body["tools"] = [{"type": "function", "function": offered(tool)} for tool in tools]
    body["stream"] = conversation.stream
    _put_format(body, conversation, losses, json_calls=json_calls)
    _put_think(body, conversation, losses)
    _put_options(body, conversation, losses)
    _put_extras(body, conversation, dialect, losses)
    _note_rest(conversation, losses)
    names = frozenset(tool.name for tool in tools)
    reading = JsonCallReading(dialect, tools=names) if json_calls else Reading(dialect)
    return Rendered(encode(body), reading, losses=losses.gathered())


def _put_said(body: _Body, messages: list[RenderedMessage], instructions: list[str], dialect: OllamaDialect) -> None:
    system = "\n\n".join(instructions)
    if not dialect.generate:
        heads = [RenderedMessage("system", system)] if system else []
        body["messages"] = [*heads, *messages]
        return
    body["prompt"] = render_prompt(messages)
    if system:
        body["system"] = system
    images = [image for message in messages for image in message.images or ()]
    if images:
        body["images"] = images


def _instructions(conversation: Conversation, losses: Losses) -> list[str]:
    if any(text.cache is not None for text in conversation.instructions):
        losses.drop("system.cache_control")
    return [text.text for text in conversation.instructions]


def _tools(conversation: Conversation, losses: Losses) -> list[FunctionTool]:
    choice = conversation.tool_choice
    if choice is not None and choice.mode == "none":
        return []
    tools: list[FunctionTool] = []
    for number, tool in enumerate(conversation.tools):
        place = f"tools.{number}"
        if isinstance(tool, WebSearch) and len(conversation.tools) > 1:
            # Agents offer it with every request; the others are what they work with.
            losses.drop("tools.web_search")
            continue
        if not isinstance(tool, FunctionTool):
            kind = {WebSearch: "web search", McpServer: "an MCP server"}.get(type(tool), "a tool that the host runs")
            raise refusal(kind, TARGET, "leave it out or offer a function instead", param=place)
        if tool.cache is not None:
            losses.drop(f"{place}.cache_control")
        if tool.strict:
            losses.drop(f"{place}.strict")
        if tool.deferred:
            losses.drop(f"{place}.defer_loading")
        tools.append(tool)
    if choice is not None and choice.mode == "tool":
        # One that must be called is the only one on offer.
        tools = [tool for tool in tools if tool.name == choice.name] or tools
    return tools


def _put_format(body: _Body, conversation: Conversation, losses: Losses, *, json_calls: bool) -> None:
    wanted = conversation.output_format
    if json_calls:
        body["format"] = "json"
        if wanted is not None and wanted.schema is not None:
            losses.approximate("response_format")
    elif wanted is not None:
        body["format"] = "json" if wanted.schema is None else msgspec.Raw(wanted.schema.encode())


def _put_think(body: _Body, conversation: Conversation, losses: Losses) -> None:
    reasoning = conversation.reasoning
    if reasoning is None or reasoning in {Reasoning(shown=True), Reasoning(shown=False)}:
        return  # who only wants to see the thoughts does not ask for any
    if reasoning.budget_tokens is not None:
        losses.drop("thinking.budget_tokens")
    effort = reasoning.effort or _effort_of(reasoning)
    has_levels = _MODELS_WITH_LEVELS in conversation.model.lower()
    if not has_levels and effort != "none" and (reasoning.adaptive or not _thinks(conversation.model)):
        # Left out: those that can think do so unasked, and the others refuse to be asked.
        if reasoning.effort is not None:
            losses.drop("reasoning_effort")
        return
    if reasoning.effort not in {None, _LEVELS[effort] if has_levels else "none"}:
        losses.approximate("reasoning_effort")
    body["think"] = _LEVELS[effort] if has_levels else effort != "none"


def _effort_of(reasoning: Reasoning) -> Effort:
    budget = reasoning.budget_tokens
    if budget is None:
        return "medium"
    return "low" if budget < 2048 else "medium" if budget < 4096 else "high"


def _put_options(body: _Body, conversation: Conversation, losses: Losses) -> None:
    sampling = conversation.sampling
    options: _Body = {}
    _put_own_options(options, conversation, losses)
    said = {
        "num_predict": conversation.max_output_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "seed": sampling.seed,
        "stop": list(sampling.stop) or None,
        "frequency_penalty": sampling.frequency_penalty,
        "presence_penalty": sampling.presence_penalty,
    }
    options.update((name, value) for name, value in said.items() if value is not None)
    if options:
        body["options"] = options


def _put_own_options(options: _Body, conversation: Conversation, losses: Losses) -> None:
    extras = conversation.extras
    for name in _OWN_OPTIONS & extras.keys():
        options[name] = msgspec.Raw(extras[name].encode())
    written = extras.get("options")
    if written is None:
        return
    if not is_object(written):
        losses.drop("options")
        return
    options.update(decode_members(written.encode()))


def _put_extras(body: _Body, conversation: Conversation, dialect: OllamaDialect, losses: Losses) -> None:
    """What the client has sent of Ollama's own fields; the rest cannot be said."""
    claimed = _OWN_FIELDS | _GENERATE_FIELDS if dialect.generate else _OWN_FIELDS
    for name, written in conversation.extras.items():
        if name in claimed or (name in {"format", "think"} and name not in body):
            body[name] = msgspec.Raw(written.encode())
        elif name == "suffix":
            advice = "ask for a model whose deployment uses /api/generate (ollama/… instead of ollama_chat/…)"
            raise refusal("a suffix", f"{TARGET}'s chat", advice, param="suffix")
        elif name not in _OWN_OPTIONS and name != "options":
            losses.drop(name)


def _note_rest(conversation: Conversation, losses: Losses) -> None:
    choice = conversation.tool_choice
    if choice is not None and choice.mode in {"any", "tool"} and conversation.tools:
        losses.approximate("tool_choice")
    if conversation.parallel_tool_calls is False:
        losses.drop("parallel_tool_calls")
    if conversation.end_user is not None:
        losses.drop("user")
    for name, _ in conversation.headers:
        losses.drop(f"extra_headers.{name}")
