"""Requests that pass, those that come back as they were, and arbitrary ones."""

import base64

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from app.base.errors import InvalidRequest
from app.protocols.conversation import (
    Base64Source,
    Conversation,
    Document,
    FunctionTool,
    Image,
    Sampling,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
    UrlSource,
)
from app.protocols.gemini.seals import DUMMY
from app.protocols.opaque import Seal
from tests.protocols.gemini.requests import (
    GEMINI,
    MODEL,
    STUDIO,
    envelope,
    rendered,
)


def test_a_rewritten_body_is_the_same_but_for_foreign_seals() -> None:
    body = b'{ "contents" : [{"parts":[{"text":"hi", "thoughtSignature":"c2ln"}]}],\n"safetySettings":[] }'
    assert GEMINI.rewrite(envelope(body), "gemini-3-pro", STUDIO, ()).body == body


def test_foreign_seals_are_taken_out() -> None:
    sealed = base64.b64encode(b"kh1.anthropic.SIG").decode()
    parts = [
        {"text": "hm", "thought": True, "thoughtSignature": sealed},
        {"text": "so", "thoughtSignature": sealed},
        {"functionCall": {"name": "f"}, "thoughtSignature": sealed},
        {"functionCall": {"name": "f"}, "thoughtSignature": "c2ln"},
    ]
    body = msgspec.json.encode({"contents": [{"role": "model", "parts": parts}], "labels": {}, "model": "other"})
    sent = msgspec.json.decode(GEMINI.rewrite(envelope(body), "gemini-3-pro", STUDIO, ()).body)
    assert sent == {
        "contents": [
            {
                "role": "model",
                "parts": [
                    {"text": "so"},
                    {"functionCall": {"name": "f"}, "thoughtSignature": DUMMY},
                    {"functionCall": {"name": "f"}, "thoughtSignature": "c2ln"},
                ],
            }
        ]
    }
    conversation = GEMINI.parse_request(envelope(body), ())
    assert conversation.turns[0].blocks[0] == Thinking("hm", Seal("anthropic", "SIG"))


_WORDS = st.text('abcdefgh é{["', min_size=1, max_size=12)
_SAYABLE = _WORDS.filter(lambda text: not text.lstrip().startswith("{"))
_TEXTS = st.builds(Text, _WORDS)
_PICTURES = st.builds(Image, st.builds(Base64Source, st.just("image/png"), st.just("AAAA")))
_PDFS = st.builds(Document, st.builds(UrlSource, st.just("https://x.test/a"), st.just("application/pdf")))
_CALLED = st.builds(
    lambda thinks, ids, results, errors: (
        Turn("assistant", (*([Thinking("", Seal("gemini", "c2ln"))] if thinks else []), *_calls(ids))),
        Turn(
            "user",
            tuple(ToolResult(one, (Text(text),), bad) for one, text, bad in zip(ids, results, errors, strict=False)),
        ),
    ),
    st.booleans(),
    st.lists(st.text("abc123_", min_size=1, max_size=6), min_size=1, max_size=3, unique=True),
    st.lists(_SAYABLE, min_size=3, max_size=3),
    st.lists(st.booleans(), min_size=3, max_size=3),
)


def _calls(ids: list[str]) -> list[ToolCall]:
    return [ToolCall(one, f"tool_{one}", '{"a": 1.50}') for one in ids]


_CONVERSATIONS = st.builds(
    lambda first, called, spoken, tools, sampling, most, instructions: Conversation(
        "gemini-2.5-pro",
        (Turn("user", tuple(first)), *called, *([Turn("assistant", (Text(spoken),))] if spoken else [])),
        tuple(instructions),
        tuple(tools),
        ToolChoice("auto") if tools else None,
        sampling=sampling,
        max_output_tokens=most,
    ),
    st.lists(st.one_of(_TEXTS, _PICTURES, _PDFS), min_size=1, max_size=3),
    st.one_of(st.just(()), _CALLED),
    st.one_of(st.none(), _WORDS),
    st.lists(st.builds(FunctionTool, st.text("abc", min_size=1), _WORDS, st.just('{"type": "object"}')), max_size=2),
    st.builds(Sampling, st.sampled_from([None, 0.5]), top_k=st.sampled_from([None, 4]), stop=st.just(("x",))),
    st.sampled_from([None, 5]),
    st.lists(_TEXTS, max_size=2),
)


@settings(max_examples=100, deadline=None)
@given(_CONVERSATIONS)
def test_what_is_rendered_is_read_as_it_was(conversation: Conversation) -> None:
    request = rendered(conversation)
    assert not request.losses
    assert GEMINI.parse_request(envelope(request.body, conversation.model), ()) == conversation


_NAMES = [
    "contents", "role", "parts", "text", "thought", "thoughtSignature", "functionCall", "function_call", "name", "args",
    "id", "functionResponse", "response", "inlineData", "mimeType", "data", "fileData", "fileUri", "systemInstruction",
    "tools", "functionDeclarations", "parameters", "type", "properties", "toolConfig", "functionCallingConfig", "mode",
    "generationConfig", "maxOutputTokens", "topK", "thinkingConfig", "thinkingBudget", "responseSchema", "labels",
    "hologram",
]  # fmt: skip
_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["user", "model", "image/png", "AAAA", "ANY", "é", "", "a2gxLg=="]),
)
_JSON = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=5),
    max_leaves=30,
)
_PARTS = st.lists(st.dictionaries(st.sampled_from(_NAMES), _JSON, max_size=3), max_size=3)
_BODIES = st.one_of(
    _JSON,
    st.dictionaries(st.sampled_from(_NAMES), _JSON, max_size=6),
    st.builds(
        lambda parts, more: {**more, "contents": [{"parts": parts}]},
        _PARTS,
        st.dictionaries(st.sampled_from(_NAMES), _JSON, max_size=3),
    ),
)


@settings(max_examples=200, deadline=None)
@given(_BODIES, st.sampled_from(["gemini-2.0-flash", MODEL]))
def test_arbitrary_json_is_read_or_refused(body: object, model: str) -> None:
    try:
        asked = envelope(msgspec.json.encode(body), model)
        GEMINI.rewrite(asked, model, STUDIO, ())
        conversation = GEMINI.parse_request(asked, ())
        GEMINI.render_request(conversation, STUDIO)
    except InvalidRequest:
        return
