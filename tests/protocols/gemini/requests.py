"""What the tests of requests share: requests read, and requests rendered under the eyes of Google's own types."""

import msgspec
from google.genai import types

from app.protocols.codec import Codec, Envelope, PathFacts, Rendered
from app.protocols.conversation import (
    Conversation,
    Text,
    Turn,
)
from app.protocols.gemini.codec import Gemini
from app.protocols.gemini.dialect import GeminiDialect

GEMINI: Codec = Gemini()
STUDIO = GeminiDialect()
VERTEX = GeminiDialect(vertex=True)
MODEL = "gemini-3.1-flash"
ASK = Turn("user", (Text("hi"),))


def envelope(body: bytes, model: str = MODEL) -> Envelope:
    return GEMINI.read_envelope(body, PathFacts(model, stream=False))


def parsed(fields: object) -> Conversation:
    return GEMINI.parse_request(envelope(msgspec.json.encode(fields)), ())


def asking(**more: object) -> dict[str, object]:
    return {"contents": [{"role": "user", "parts": [{"text": "hi"}]}], **more}


def rendered(conversation: Conversation, dialect: GeminiDialect = STUDIO) -> Rendered:
    request = GEMINI.render_request(conversation, dialect)
    _judge(msgspec.json.decode(request.body))
    return request


def _judge(body: dict[str, object]) -> None:
    """Google's own types forbid fields that they do not know."""
    contents, config = body.pop("contents"), body.pop("generationConfig", {})
    assert isinstance(contents, list)
    assert isinstance(config, dict)
    for content in contents:
        assert types.Content.model_validate(content).parts
    types.GenerateContentConfig.model_validate({**config, **body})
    body |= {"contents": contents, "generationConfig": config}


def body_of(conversation: Conversation, dialect: GeminiDialect = STUDIO) -> dict[str, object]:
    body: dict[str, object] = msgspec.json.decode(rendered(conversation, dialect).body)
    return body


def config_of(conversation: Conversation) -> object:
    return body_of(conversation).get("generationConfig")


def contents_of(*turns: Turn, model: str = MODEL) -> object:
    return body_of(Conversation(model, turns))["contents"]


def lost(conversation: Conversation, dialect: GeminiDialect = STUDIO) -> list[str]:
    return [loss.field for loss in rendered(conversation, dialect).losses]
