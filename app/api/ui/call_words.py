"""What a call was, in words: its protocol, its provider, how it ended. A word of a newer process stays as it is."""

from collections.abc import Callable, Mapping
from typing import Any

from app.providers.host_table import HOSTS

_PROTOCOLS: Mapping[str, str] = {
    "anthropic_messages": "Anthropic Messages",
    "anthropic_text_completions": "Anthropic Text Completions",
    "openai_chat": "OpenAI Chat Completions",
    "openai_completions": "OpenAI Completions",
    "openai_responses": "OpenAI Responses",
    "gemini": "Gemini",
    "ollama": "Ollama",
}
_RESULTS: Mapping[str, str] = {"ok": "ok", "error": "failed", "hung_up": "client left", "cut": "cut short"}
_CLASSES: Mapping[str, str] = {
    "main": "The main conversation",
    "subagent": "A subagent",
    "workflow": "A workflow",
    "compaction": "Shortening the conversation",
    "auxiliary": "A small task beside it",
    "probe": "A check of the client",
    "batch": "A batch",
}
_ENDINGS: Mapping[str, str] = {
    "end_turn": "The answer was complete",
    "stop": "The answer was complete",
    "completed": "The answer was complete",
    "stop_sequence": "A stop sequence",
    "tool_use": "A call of a tool",
    "tool_calls": "A call of a tool",
    "function_call": "A call of a tool",
    "max_tokens": "The most tokens that were allowed",
    "length": "The most tokens that were allowed",
    "max_output_tokens": "The most tokens that were allowed",
    "model_context_window_exceeded": "The end of the context window",
    "pause_turn": "A pause, to be gone on with",
    "refusal": "A refusal of the model",
    "content_filter": "The provider's content filter",
    "safety": "The provider's content filter",
}


def _by(words: Mapping[str, str]) -> Callable[[str], str]:
    return lambda name: words.get(name, name.replace("_", " "))


def provider_name(name: str) -> str:
    host = HOSTS.get(name)
    return name if host is None else host.display_name


def ending(name: str) -> str:
    """Gemini writes its words in capitals."""
    return _ENDINGS.get(name.lower(), name)


FILTERS: Mapping[str, Callable[..., Any]] = {
    "protocol": _by(_PROTOCOLS), "result": _by(_RESULTS), "request_class": _by(_CLASSES), "ending": ending,
    "provider_name": provider_name,
}  # fmt: skip
