"""What agents send, of the shape that theirs has, and the hosts that it is sent to."""

import json
from pathlib import Path
from typing import Any

import msgspec

from app.protocols.anthropic_messages.dialect import MessagesDialect
from app.protocols.codec import Asked, Dialect, Envelope, PathFacts, Rendered
from app.protocols.conversation import Conversation
from app.protocols.events import Generation, unfold
from app.protocols.gemini.dialect import GeminiDialect
from app.protocols.ollama.dialect import OllamaDialect
from app.protocols.openai_chat.dialect import ChatDialect
from app.protocols.openai_responses.dialect import ResponsesDialect
from app.protocols.translation import Translation
from tests.translation.paths import CODECS, asked

FIXTURES = Path(__file__).parent / "fixtures"
FRONTS = {
    "claude_code": "anthropic_messages",
    "codex": "openai_responses",
    "opencode": "openai_chat",
    "gemini_cli": "gemini",
}
TARGETS: dict[str, tuple[str, Dialect, str]] = {
    "openai": ("openai_responses", ResponsesDialect(), "gpt-5"),
    "openai_chat": (
        "openai_chat",
        ChatDialect(max_tokens_field="max_completion_tokens", documents=True),
        "gpt-5",
    ),
    "compatible": ("openai_chat", ChatDialect(issuer="openai_compatible"), "qwen3-coder"),
    "deepseek": (
        "openai_chat",
        ChatDialect(
            issuer="deepseek", reasoning="switch", takes_thoughts=True, json_schema=False, strict_tools=False,
            images=False, parallel_tool_calls=False, seed=False,
        ),
        "deepseek-chat",
    ),
    "gemini_2": ("gemini", GeminiDialect(), "gemini-2.5-pro"),
    "gemini_3": ("gemini", GeminiDialect(), "gemini-3-pro-preview"),
    "ollama": ("ollama", OllamaDialect(), "llama3.2"),
    "claude": ("anthropic_messages", MessagesDialect(), "claude-sonnet-4-5"),
    "claude_new": ("anthropic_messages", MessagesDialect(), "claude-opus-4-8"),
    "claude_bedrock": (
        "anthropic_messages",
        MessagesDialect(version_in_body="bedrock-2023-05-31", betas_in_body=True, stream_in_body=False),
        "anthropic.claude-sonnet-4-5-20250929-v1:0",
    ),
}  # fmt: skip
AGENTS = sorted(path.stem for path in FIXTURES.glob("*.json"))


def front_of(agent: str) -> str:
    return next(front for name, front in FRONTS.items() if agent.startswith(name))


def envelope_of(agent: str) -> Envelope:
    body = (FIXTURES / f"{agent}.json").read_bytes()
    return CODECS[front_of(agent)].read_envelope(body, PathFacts("the-model", stream=True))


def heard(agent: str) -> Conversation:
    return CODECS[front_of(agent)].parse_request(envelope_of(agent), ())


def sent(agent: str, target: str) -> Rendered:
    """Raises InvalidRequest."""
    protocol, dialect, model = TARGETS[target]
    return CODECS[protocol].render_request(msgspec.structs.replace(heard(agent), model=model), dialect)


def body_sent(agent: str, target: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(sent(agent, target).body)
    return body


def told(agent: str, target: str, answer: Generation) -> tuple[dict[str, Any], bytes]:
    """What the agent is told when the host gives this answer: (whole, streamed)."""
    protocol, _, _ = TARGETS[target]
    reading = sent(agent, target).reading
    host, front = CODECS[protocol], CODECS[front_of(agent)]
    asking = Asked(envelope_of(agent), "the-model", "req_1", 1_700_000_000)
    heard_of_it = host.parse_response(host.render_response(answer, asked(protocol)), reading)
    whole: dict[str, Any] = json.loads(front.render_response(heard_of_it, asking))
    speaking = host.stream_renderer(asked(protocol, stream=True))
    streaming = Translation(host.stream_parser(reading), front.stream_renderer(asking))
    streamed = b"".join(streaming.feed(speaking.feed(event)) for event in unfold(answer)) + streaming.flush()
    return whole, streamed
