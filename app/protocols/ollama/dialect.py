"""How the two endpoints of Ollama differ."""

from dataclasses import dataclass, replace

from app.protocols.codec import Dialect


@dataclass(frozen=True, slots=True)
class OllamaDialect(Dialect):
    """``generate``: /api/generate, with one prompt in place of messages. ``native_tools``: the model calls tools of
    itself; without, calls are asked for in JSON mode."""

    issuer: str = "ollama"
    generate: bool = False
    native_tools: bool = True

    def for_model(self, *, native_tools: bool | None) -> "OllamaDialect":
        return self if native_tools is not False else replace(self, native_tools=False)
