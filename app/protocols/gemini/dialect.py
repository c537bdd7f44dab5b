"""How hosts of generateContent differ: the Gemini API and Vertex AI."""

from dataclasses import dataclass

from app.protocols.codec import Dialect


@dataclass(frozen=True, slots=True)
class GeminiDialect(Dialect):
    """``vertex``: Google Cloud's host, which knows ``labels``, and fetches gs:// addresses."""

    issuer: str = "gemini"
    vertex: bool = False
