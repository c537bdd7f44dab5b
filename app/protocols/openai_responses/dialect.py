"""How hosts of the Responses API differ from OpenAI's own."""

from dataclasses import dataclass

from app.protocols.codec import Dialect


@dataclass(frozen=True, slots=True)
class ResponsesDialect(Dialect):
    issuer: str = "openai"
