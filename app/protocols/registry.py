"""Every wire format by its name."""

from collections.abc import Mapping

from app.protocols.anthropic_messages.codec import AnthropicMessages
from app.protocols.anthropic_messages.text_completions import NAME, TextCompletions
from app.protocols.codec import Codec
from app.protocols.gemini.codec import Gemini
from app.protocols.ollama.codec import Ollama
from app.protocols.openai_chat.codec import OpenAIChat
from app.protocols.openai_completions.codec import OpenAICompletions
from app.protocols.openai_responses.codec import OpenAIResponses

Codecs = Mapping[str, Codec]


def all_codecs(budget_status: int | None = None) -> Codecs:
    """``budget_status`` replaces the status of a spent budget, for fleets that rely on another."""
    codecs: tuple[Codec, ...] = (
        AnthropicMessages(budget_status),
        OpenAIChat(budget_status),
        OpenAIResponses(budget_status),
        OpenAICompletions(budget_status),
        Gemini(budget_status),
        Ollama(budget_status),
    )
    return {codec.name: codec for codec in codecs}


def client_codecs(codecs: Codecs, budget_status: int | None = None) -> Codecs:
    """And the older form of one of them, which only clients speak and nobody translates."""
    return {**codecs, NAME: TextCompletions(budget_status)}
