"""What clients say that the canonical request has no word for, or that its own protocol's renderer would not say."""

from typing import Any

import msgspec

from tests.translation.features import CHOICE_TOOL, COUNTRY, HELLO, LONG_NAME, ODD, PARIS, WEATHER

_TEXT = {"type": "text", "text": HELLO.text}
_QUESTION = {"role": "user", "content": [_TEXT]}
_CITY = {"city": "Paris"}
_SCHEMA: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
_COUNTRY = msgspec.Raw(COUNTRY.encode())
_CHOICE: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "code": {"type": "string"}},
    "anyOf": [{"required": ["name"]}, {"required": ["code"]}],
}


def _chat_call(call_id: str, name: str) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": '{"city":"Paris"}'}}


def _chat_loop(call_id: str, name: str = WEATHER.name, **more: Any) -> dict[str, Any]:
    return {
        "messages": [
            _QUESTION,
            {"role": "assistant", "content": None, "tool_calls": [_chat_call(call_id, name)], **more},
            {"role": "tool", "tool_call_id": call_id, "content": "sun"},
        ],
        "tools": [{"type": "function", "function": {"name": name, "parameters": _SCHEMA}}],
    }


_CHAT: dict[str, dict[str, Any]] = {
    "citations": {
        "messages": [
            {
                "role": "user",
                "content": [
                    _TEXT,
                    {
                        "type": "document",
                        "source": {"type": "text", "media_type": "text/plain", "data": "It rains in Paris."},
                        "title": "Notes",
                        "citations": {"enabled": True},
                    },
                ],
            }
        ]
    },
    "mcp": {"tools": [{"type": "mcp", "server_label": "deepwiki", "server_url": "https://mcp.example.org/mcp"}]},
    "hosted_tool": {"tools": [{"type": "memory_20250818", "name": "memory"}]},
    "web_search": {"web_search_options": {"search_context_size": "medium"}},
    "web_search_beside_tools": {
        "web_search_options": {},
        "tools": [{"type": "function", "function": {"name": WEATHER.name, "parameters": _SCHEMA}}],
    },
    "odd_ids": _chat_loop(ODD.call_id),
    "long_names": _chat_loop("call_week", LONG_NAME),
    "choice_of_schemas": {
        "tools": [{"type": "function", "function": {"name": CHOICE_TOOL.name, "parameters": _CHOICE}}]
    },
    "thoughts_of_another": _chat_loop("call_paris", reasoning_content="Where is Paris?"),
    "custom_tools": {
        "messages": [
            _QUESTION,
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "call_1", "type": "custom", "custom": {"name": "apply_patch", "input": "*** x"}}],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "Done!"},
        ],
        "tools": [{"type": "custom", "custom": {"name": "apply_patch", "description": "Changes files."}}],
    },
}

_MESSAGES_LOOP: list[dict[str, Any]] = [
    _QUESTION,
    {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "ToolSearch", "input": _CITY}]},
]
_MESSAGES: dict[str, dict[str, Any]] = {
    "deferred_tools": {
        "messages": [
            *_MESSAGES_LOOP,
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "toolu_1",
                        "content": [{"type": "tool_reference", "tool_name": WEATHER.name}],
                    }
                ],
            },
        ],
        "tools": [
            {"name": "ToolSearch", "description": "Finds tools.", "input_schema": _SCHEMA},
            {"name": WEATHER.name, "input_schema": _SCHEMA, "defer_loading": True},
        ],
    },
    "choice_of_schemas": {"tools": [{"name": CHOICE_TOOL.name, "input_schema": _CHOICE}]},
    "adaptive_thinking": {"thinking": {"type": "adaptive"}, "output_config": {"effort": "medium"}},
    "structured_output": {
        "output_config": {"format": {"type": "json_schema", "schema": msgspec.Raw(COUNTRY.encode())}}
    },
}

_RESPONSES: dict[str, dict[str, Any]] = {
    "custom_tools": {
        "input": [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": HELLO.text}]},
            {"type": "custom_tool_call", "call_id": "call_1", "name": "apply_patch", "input": "*** x"},
            {"type": "custom_tool_call_output", "call_id": "call_1", "output": "Done!"},
            {
                "type": "function_call",
                "call_id": PARIS.call_id,
                "namespace": "weather",
                "name": "now",
                "arguments": '{"city":"Paris"}',
            },
            {"type": "function_call_output", "call_id": PARIS.call_id, "output": "rain"},
        ],
        "tools": [
            {
                "type": "custom",
                "name": "apply_patch",
                "description": "Changes files.",
                "format": {"type": "grammar", "syntax": "lark", "definition": "start: TEXT"},
            },
            {
                "type": "namespace",
                "name": "weather",
                "description": "The weather.",
                "tools": [{"type": "function", "name": "now", "parameters": _SCHEMA, "strict": False}],
            },
        ],
    },
    "choice_of_schemas": {
        "input": HELLO.text,
        "tools": [{"type": "function", "name": CHOICE_TOOL.name, "parameters": _CHOICE, "strict": False}],
    },
}

WORDS: dict[str, dict[str, dict[str, Any]]] = {
    "openai_chat": _CHAT,
    "anthropic_messages": _MESSAGES,
    "openai_responses": _RESPONSES,
}
"""By protocol and feature: the fields that are another than in the plainest request."""
PLAINEST: dict[str, dict[str, Any]] = {
    "openai_chat": {"model": "the-model", "max_completion_tokens": 1000, "messages": [_QUESTION]},
    "anthropic_messages": {"model": "the-model", "max_tokens": 1000, "messages": [_QUESTION]},
    "openai_responses": {"model": "the-model", "max_output_tokens": 1000},
}
SILENT = {
    "adaptive_thinking": {"openai_chat", "openai_responses", "gemini", "ollama"},
    "odd_ids": {"anthropic_messages", "openai_responses", "gemini", "ollama"},
    "long_names": {"openai_responses", "gemini"},
    "deferred_tools": {"openai_chat", "openai_responses", "gemini", "ollama"},
    "custom_tools": {"anthropic_messages", "gemini", "ollama"},
    "choice_of_schemas": {"gemini"},
    "json_output": {"anthropic_messages"},
}
"""By feature: the protocols that cannot say it, though their renderers find other words for it."""
