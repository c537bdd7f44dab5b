"""No more is asked for than a model can write, in every host's protocol."""

import json
from typing import Any

import pytest

from app.protocols.anthropic_messages.dialect import MessagesDialect
from app.protocols.codec import Dialect
from app.protocols.conversation import Conversation, Reasoning, Text, Turn
from app.protocols.gemini.dialect import GeminiDialect
from app.protocols.openai_chat.dialect import ChatDialect
from app.protocols.openai_responses.dialect import ResponsesDialect
from app.protocols.output_limits import most_output_tokens
from app.protocols.registry import all_codecs

CODECS = all_codecs()


@pytest.mark.parametrize(
    ("model", "most"),
    [
        ("gpt-4", 8192),
        ("gpt-4-turbo-2024-04-09", 4096),
        ("gpt-4o", 16_384),
        ("openai/gpt-4o-mini", 16_384),
        ("gpt-4o-2024-05-13", 4096),
        ("gpt-4.1-nano", 32_768),
        ("gpt-5", 128_000),
        ("gpt-5-chat-latest", 16_384),
        ("gpt-5.2-pro", 272_000),
        ("o3-mini", 100_000),
        ("gemini-2.0-flash", 8192),
        ("models/gemini-2.5-pro", 65_535),
        ("gemini-3-pro-preview", 65_535),
        ("claude-3-haiku-20240307", 4096),
        ("claude-3-5-sonnet-20241022", 8192),
        ("claude-opus-4-20250514", 32_000),
        ("us.anthropic.claude-opus-4-1-20250805-v1:0", 32_000),
        ("claude-sonnet-4@20250514", 64_000),
        ("claude-opus-4-5-20251101", 64_000),
        ("claude-opus-4-8", 128_000),
        ("claude-opus-5-5", None),
        ("gpt-6", None),
        ("llama3.2", None),
        ("my-o1-tuned-model", None),
        ("olmo-2", None),
    ],
)
def test_the_limit_of_a_model_is_known_by_its_name(model: str, most: int | None) -> None:
    assert most_output_tokens(model) == most


@pytest.mark.parametrize(
    ("protocol", "dialect", "model", "path", "most"),
    [
        ("anthropic_messages", MessagesDialect(), "claude-3-opus-20240229", ("max_tokens",), 4096),
        ("openai_chat", ChatDialect(), "gpt-4.1", ("max_tokens",), 32_768),
        ("openai_responses", ResponsesDialect(), "gpt-4.1", ("max_output_tokens",), 32_768),
        ("gemini", GeminiDialect(), "gemini-2.5-pro", ("generationConfig", "maxOutputTokens"), 65_535),
    ],
)
def test_more_is_cut_to_the_limit_and_told(
    protocol: str, dialect: Dialect, model: str, path: tuple[str, ...], most: int
) -> None:
    asked = Conversation(model=model, turns=(Turn("user", (Text("Hi"),)),), max_output_tokens=128_001)
    given = CODECS[protocol].render_request(asked, dialect)
    said: Any = json.loads(given.body)
    for name in path:
        said = said[name]
    assert said == most
    assert given.max_output_tokens == most
    assert [loss.field for loss in given.losses] == ["max_tokens"]


def test_a_budget_of_thinking_stays_below_the_limit() -> None:
    asked = Conversation(
        model="claude-opus-4-1",
        turns=(Turn("user", (Text("Hi"),)),),
        max_output_tokens=64_000,
        reasoning=Reasoning(budget_tokens=63_999),
    )
    body = json.loads(CODECS["anthropic_messages"].render_request(asked, MessagesDialect()).body)
    assert (body["max_tokens"], body["thinking"]["budget_tokens"]) == (32_000, 31_999)
