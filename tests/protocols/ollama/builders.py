"""What the tests of this room are built of."""

import json
from typing import Any

from app.protocols.codec import Asked, Reading
from app.protocols.conversation import Conversation
from app.protocols.ollama.codec import Ollama
from app.protocols.ollama.dialect import OllamaDialect

OLLAMA = Ollama()
CHAT = OllamaDialect()
GENERATE = OllamaDialect(generate=True)
WITHOUT_TOOLS = OllamaDialect(native_tools=False)
READING = Reading(CHAT)
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def dumped(**fields: Any) -> bytes:
    return json.dumps({"model": "llama3.2"} | fields).encode()


def parsed(**fields: Any) -> Conversation:
    return OLLAMA.parse_request(OLLAMA.read_envelope(dumped(**fields)), ())


def rendered(conversation: Conversation, dialect: OllamaDialect = CHAT) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(OLLAMA.render_request(conversation, dialect).body)
    return body


def asked(**fields: Any) -> Asked:
    envelope = OLLAMA.read_envelope(dumped(**(fields or {"messages": []})))
    return Asked(envelope, envelope.model, "req_1", 1_700_000_000)
