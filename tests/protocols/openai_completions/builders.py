"""What the tests of this room are built of."""

import json
from typing import Any

from app.protocols.codec import Asked, Reading
from app.protocols.conversation import Conversation
from app.protocols.openai_completions.codec import OpenAICompletions
from app.protocols.openai_completions.dialect import CompletionsDialect

COMPLETIONS = OpenAICompletions()
DIALECT = CompletionsDialect("openai")
READING = Reading(DIALECT)


def dumped(**fields: Any) -> bytes:
    return json.dumps({"model": "instruct", "prompt": "Say"} | fields).encode()


def parsed(**fields: Any) -> Conversation:
    return COMPLETIONS.parse_request(COMPLETIONS.read_envelope(dumped(**fields)), ())


def asked(**fields: Any) -> Asked:
    envelope = COMPLETIONS.read_envelope(dumped(**fields))
    return Asked(envelope, envelope.model, "req_1", 1_700_000_000)
