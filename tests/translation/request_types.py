"""What each provider's own SDK declares a request to be."""

from typing import Any

import ollama._types as ollama_types
from anthropic.types.beta import message_create_params as messages
from google.genai import types as gemini
from openai.types.chat import completion_create_params as chat
from openai.types.responses import response_create_params as responses

from tests.translation.sdk_types import faults

_GEMINI: dict[str, Any] = {
    "contents": list[gemini.Content],
    "systemInstruction": gemini.Content,
    "tools": list[gemini.Tool],
    "toolConfig": gemini.ToolConfig,
    "generationConfig": gemini.GenerationConfig,
    "safetySettings": list[gemini.SafetySetting],
    "cachedContent": str,
}
# Under version 2023-06-01, which is the one that is sent; the SDK declares a newer one.
_OF_THE_OLDER_VERSION = {"temperature", "top_p", "top_k", "output_format"}
_DECLARED: dict[str, tuple[Any, Any]] = {
    "anthropic_messages": (messages.MessageCreateParamsNonStreaming, messages.MessageCreateParamsStreaming),
    "openai_chat": (chat.CompletionCreateParamsNonStreaming, chat.CompletionCreateParamsStreaming),
    "openai_responses": (responses.ResponseCreateParamsNonStreaming, responses.ResponseCreateParamsStreaming),
}


def faults_of(host: str, body: dict[str, Any]) -> list[str]:
    """What the SDK would not send; empty for a request as it declares one."""
    if host == "gemini":
        return [
            fault
            for name, value in body.items()
            for fault in (
                faults(value, _GEMINI[name], f"$.{name}") if name in _GEMINI else [f"$.{name}: unknown to Gemini"]
            )
        ]
    if host == "anthropic_messages":
        body = {name: value for name, value in body.items() if name not in _OF_THE_OLDER_VERSION}
    if host == "ollama":
        return _faults_of_ollama(body)
    whole, streamed = _DECLARED[host]
    return faults(body, streamed if body.get("stream") else whole)


def _faults_of_ollama(body: dict[str, Any]) -> list[str]:
    """The SDK takes any mapping for a message too, where its server knows messages alone; it writes an image as its
    base64."""
    tools = [_without_schema(tool) for tool in body.get("tools", [])]
    said = [
        {**message, "images": [{"value": image} for image in message["images"]]} if "images" in message else message
        for message in body["messages"]
    ]
    found = faults({**body, "tools": tools, "messages": []}, ollama_types.ChatRequest)
    return found + faults(said, list[ollama_types.Message], "$.messages")


def _without_schema(tool: dict[str, Any]) -> dict[str, Any]:
    """Ollama's SDK declares a part of JSON Schema; its server takes all of it."""
    return {**tool, "function": {**tool["function"], "parameters": {"type": "object"}}}
