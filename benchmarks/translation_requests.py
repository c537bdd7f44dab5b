"""A long turn of a coding agent, in every protocol: 80 messages, 20 tools with their schemas, some images."""

import base64

import msgspec

from app.protocols.codec import Codec, Dialect, Envelope, PathFacts
from app.protocols.conversation import (
    Base64Source,
    CacheMark,
    Conversation,
    FunctionTool,
    Image,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)

STEPS = 39
TOOLS = 20
_PROSE = "The place of a key in the table is found by its digest; what is there before it is left alone. "
_CODE = '    def place(self, key: str) -> int:\n        """Where \\"key\\" is, or would be."""\n        return 0\n'
_ACCENTS = "Das Ergebnis: größer als zuvor, naïve façade, 日本語 – fertig. "
_IMAGE = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 24).decode()


def conversation_of(model: str) -> Conversation:
    """A question, and 39 steps of a tool called and its result; every tenth result is a picture."""
    turns = [Turn("user", (Text(_PROSE * 20), Text("Where does the table grow?", cache=CacheMark())))]
    for number in range(STEPS):
        call_id = f"toolu_01{number:020d}"
        arguments = msgspec.json.encode({"file_path": f"/home/dev/project/src/place_{number}.py", "content": _CODE * 4})
        turns.append(
            Turn("assistant", (Text(_PROSE * 2), ToolCall(call_id, f"Tool{number % TOOLS}", arguments.decode())))
        )
        turns.append(Turn("user", (ToolResult(call_id, _result(number)),)))
    turns.append(Turn("assistant", (Text(_PROSE),)))
    turns.append(Turn("user", (Text("Go on.", cache=CacheMark()),)))
    return Conversation(
        model=model,
        turns=tuple(turns),
        instructions=(Text("You are a coding agent."), Text(_PROSE * 150, cache=CacheMark())),
        tools=tuple(_tool(number) for number in range(TOOLS)),
        max_output_tokens=32_000,
        reasoning=Reasoning(budget_tokens=16_000),
        stream=True,
    )


def _result(number: int) -> tuple[Text | Image, ...]:
    if number % 10 == 9:
        return (Text("A picture of it:"), Image(Base64Source("image/png", _IMAGE)))
    # Numbered lines have an arrow in them, which makes a text of one byte a character one of two.
    return (Text(_CODE * 33 + (_ACCENTS if number % 2 else "")),)


def _tool(number: int) -> FunctionTool:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "file_path": {"type": "string", "description": "The absolute path of the file. " * 3},
            "mode": {"type": "string", "enum": ["read", "write", "append"], "default": "read"},
            "limit": {"type": "integer", "exclusiveMinimum": 0, "maximum": 2000, "description": "Lines to read. " * 3},
            "edits": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "properties": {
                        "old": {"type": "string", "minLength": 1, "description": "What is there. " * 4},
                        "new": {"type": ["string", "null"], "description": "What is to be there. " * 4},
                        "all": {"anyOf": [{"type": "boolean"}, {"type": "null"}], "default": None},
                    },
                    "required": ["old", "new"],
                    "additionalProperties": False,
                },
            },
        },
        "required": ["file_path"],
        "additionalProperties": False,
    }
    described = f"Tool number {number} of the agent. {_PROSE * 12}"
    return FunctionTool(f"Tool{number}", described, msgspec.json.encode(schema).decode())


def envelope_of(codec: Codec, dialect: Dialect, model: str) -> Envelope:
    """What a client of this protocol sends."""
    body = codec.render_request(conversation_of(model), dialect).body
    return codec.read_envelope(body, PathFacts(model, stream=True))
