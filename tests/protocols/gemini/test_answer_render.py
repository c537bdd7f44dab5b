"""Answers for Gemini's clients, as Google's own SDK reads them."""

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import groupby

import msgspec
import pytest
from google import genai
from google.genai import errors, types
from hypothesis import given, settings
from hypothesis import strategies as st

from app.base.errors import StorageUnavailable
from app.domain.usage import Usage
from app.protocols.codec import Asked, PathFacts, Reading
from app.protocols.conversation import (
    Base64Source,
    Citation,
    Foreign,
    Image,
    Refusal,
    Text,
    Thinking,
    ToolCall,
)
from app.protocols.events import BlockDelta, Event, Failed, Generation, Started, fold, unfold
from app.protocols.gemini.codec import Gemini
from app.protocols.gemini.dialect import GeminiDialect
from app.protocols.opaque import Seal

GEMINI = Gemini()
READING = Reading(GeminiDialect())
ASKED = Asked(
    GEMINI.read_envelope(b"{}", PathFacts("claude-sonnet-4-5", stream=True)), "claude-sonnet-4-5", "req_1", 1763709336
)
CLAUDE = Generation(
    "msg_1",
    "claude-sonnet-4-5-20250929",
    (
        Thinking("Two cities. ", Seal("anthropic", "EqQBCgIYAhIM")),
        Text("Ich prüfe.", (Citation("anthropic_messages", "{}", url="https://x.test", title="X", start=4, end=9),)),
        ToolCall("toolu_1", "get_weather", '{"city": "Köln", "days": 1.50}'),
        ToolCall("toolu_2", "get_weather", ""),
    ),
    "tool_calls",
    Usage(input=10, cache_read=5, output=30, reasoning=12),
)


def streamed(generation: Generation) -> bytes:
    renderer = GEMINI.stream_renderer(ASKED)
    return b"".join(renderer.feed(event) for event in _in_pieces(unfold(generation)))


def _in_pieces(events: list[Event]) -> Iterator[Event]:
    for event in events:
        if isinstance(event, BlockDelta) and len(event.text) > 1:
            yield BlockDelta(event.text[:1])
            yield BlockDelta(event.text[1:])
        else:
            yield event


@contextmanager
def serving(status: int, body: bytes, kind: str) -> Iterator[genai.Client]:
    """Google's client, talking to a server that answers everything with ``body``."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    options = types.HttpOptions(base_url=f"http://127.0.0.1:{server.server_port}")
    try:
        with genai.Client(api_key="sk-test", http_options=options) as client:
            yield client
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def chunks(body: bytes) -> list[types.GenerateContentResponse]:
    with serving(200, body, GEMINI.stream_type.decode()) as client:
        return list(client.models.generate_content_stream(model="claude-sonnet-4-5", contents="hi"))


def test_the_sdk_reads_a_whole_answer() -> None:
    with serving(200, GEMINI.render_response(CLAUDE, ASKED), "application/json") as client:
        answer = client.models.generate_content(model="claude-sonnet-4-5", contents="hi")
    assert answer.text == "Ich prüfe."
    assert (answer.response_id, answer.model_version) == ("msg_1", "claude-sonnet-4-5")
    calls = answer.function_calls
    assert calls is not None
    assert [(call.id, call.name, call.args) for call in calls] == [
        ("toolu_1", "get_weather", {"city": "Köln", "days": 1.5}),
        ("toolu_2", "get_weather", {}),
    ]
    assert answer.candidates is not None
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    usage = answer.usage_metadata
    assert usage is not None
    assert (usage.prompt_token_count, usage.cached_content_token_count) == (15, 5)
    assert (usage.candidates_token_count, usage.thoughts_token_count, usage.total_token_count) == (18, 12, 45)


def test_the_sdk_puts_a_stream_together() -> None:
    seen = chunks(streamed(CLAUDE))
    parts = [part for chunk in seen for part in _parts(chunk)]
    assert "".join(part.text or "" for part in parts if part.thought) == "Two cities. "
    assert "".join(part.text or "" for part in parts if not part.thought) == "Ich prüfe."
    assert [part.function_call.id for part in parts if part.function_call] == ["toolu_1", "toolu_2"]
    signatures = [part.thought_signature for part in parts if part.thought_signature]
    assert signatures == [b"kh1.anthropic.EqQBCgIYAhIM"]
    last = seen[-1].candidates
    assert last is not None
    assert last[0].finish_reason == types.FinishReason.STOP
    assert [chunk.usage_metadata is not None for chunk in seen] == [False] * (len(seen) - 1) + [True]
    grounding = last[0].grounding_metadata
    assert grounding is not None
    assert grounding.grounding_supports is not None
    segment = grounding.grounding_supports[0].segment
    assert segment is not None
    assert (segment.start_index, segment.end_index, segment.text) == (4, 10, "prüfe")


def _parts(chunk: types.GenerateContentResponse) -> list[types.Part]:
    assert chunk.candidates is not None
    content = chunk.candidates[0].content
    return content.parts or [] if content else []


def test_the_sdk_takes_a_ping_and_keeps_the_chat_valid() -> None:
    body = GEMINI.ping + streamed(Generation("r", "m", (Text("hello"),), "stop"))
    assert "".join(chunk.text or "" for chunk in chunks(body)) == "hello"
    with serving(200, body, "text/event-stream") as client:
        chat = client.chats.create(model="claude-sonnet-4-5")
        list(chat.send_message_stream("hi"))
        assert [content.role for content in chat.get_history(curated=True)][:2] == ["user", "model"]


@pytest.mark.parametrize(
    "failure",
    [
        GEMINI.stream_renderer(ASKED).feed(Failed(503, "overloaded")),
        GEMINI.render_stream_error(StorageUnavailable("overloaded"), "req_1"),
    ],
)
def test_the_sdk_raises_for_a_failure_in_the_middle(failure: bytes) -> None:
    renderer = GEMINI.stream_renderer(ASKED)
    first = b"".join(renderer.feed(event) for event in unfold(Generation("r", "m", (Text("a"),), "stop"))[:3])
    with pytest.raises(errors.ServerError) as caught:
        chunks(first + failure)
    assert (caught.value.code, caught.value.status, caught.value.message) == (503, "UNAVAILABLE", "overloaded")


def test_what_the_client_sends_back_has_the_seal_of_its_issuer() -> None:
    answer = msgspec.json.decode(GEMINI.render_response(CLAUDE, ASKED))
    content = types.Content.model_validate(answer["candidates"][0]["content"])
    dumped = content.model_dump(mode="json", exclude_none=True)
    back = {"contents": [{"role": "user", "parts": [{"text": "x"}]}, dumped]}
    envelope = GEMINI.read_envelope(msgspec.json.encode(back), PathFacts("claude-sonnet-4-5", stream=True))
    blocks = GEMINI.parse_request(envelope, ()).turns[1].blocks
    assert blocks[0] == CLAUDE.blocks[0]
    assert [block.call_id for block in blocks if isinstance(block, ToolCall)] == ["toolu_1", "toolu_2"]


def test_a_redacted_thought_comes_back_redacted() -> None:
    thinking = Thinking("", Seal("anthropic", "data+/="), redacted=True)
    answer = msgspec.json.decode(GEMINI.render_response(Generation("r", "m", (thinking, Text("a")), "stop"), ASKED))
    contents = [{"role": "user", "parts": [{"text": "x"}]}, answer["candidates"][0]["content"]]
    envelope = GEMINI.read_envelope(msgspec.json.encode({"contents": contents}), PathFacts("m", stream=False))
    assert GEMINI.parse_request(envelope, ()).turns[1].blocks == (thinking, Text("a"))


def test_a_seal_that_nothing_follows_stands_alone() -> None:
    blocks = (Thinking("a", Seal("gemini", "c2ln")), Thinking("b", Seal("anthropic", "x")))
    answer = msgspec.json.decode(GEMINI.render_response(Generation("r", "m", blocks, "stop"), ASKED))
    tagged = base64.b64encode(b"kh1.anthropic.x").decode()
    assert answer["candidates"][0]["content"]["parts"] == [
        {"text": "a", "thought": True},
        {"text": "", "thought": True, "thoughtSignature": "c2ln"},
        {"text": "b", "thought": True},
        {"text": "", "thought": True, "thoughtSignature": tagged},
    ]


def test_other_blocks_have_their_parts() -> None:
    blocks = (
        Image(Base64Source("image/png", "AAAA")),
        Foreign("anthropic_messages", "x", "{}", "words"),
        Foreign("anthropic_messages", "y", "{}"),
        Refusal("no"),
        ToolCall("c", "f", '{"broken'),
    )
    answer = msgspec.json.decode(GEMINI.render_response(Generation("r", "m", blocks, "content_filter"), ASKED))
    types.GenerateContentResponse.model_validate(answer)
    assert answer["candidates"][0]["finishReason"] == "SAFETY"
    assert answer["candidates"][0]["content"]["parts"] == [
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        {"text": "words"},
        {"text": "no"},
        {"functionCall": {"name": "f", "args": {"arguments": '{"broken'}, "id": "c"}},
    ]


def test_an_answer_without_an_id_has_that_of_the_request() -> None:
    answer = msgspec.json.decode(GEMINI.render_response(Generation("", "m", (), "length"), ASKED))
    assert (answer["responseId"], answer["candidates"][0]["finishReason"]) == ("req_1", "MAX_TOKENS")
    renderer = GEMINI.stream_renderer(ASKED)
    assert renderer.feed(Started("", "m")) == b""


def test_a_count_of_tokens() -> None:
    assert types.CountTokensResponse.model_validate(msgspec.json.decode(GEMINI.render_count(7))).total_tokens == 7


_BLOCKS = st.lists(
    st.one_of(
        st.builds(Text, st.text(min_size=1, max_size=8)),
        st.builds(Thinking, st.text(min_size=1, max_size=8), st.just(Seal("gemini", "c2ln"))),
        st.builds(ToolCall, st.text("abc", min_size=1), st.text("abc", min_size=1), st.just('{"a":[1, 2.50]}')),
    ),
    max_size=5,
).map(lambda blocks: tuple(next(of) for _, of in groupby(blocks, type)))


@settings(max_examples=100, deadline=None)
@given(_BLOCKS, st.sampled_from(["stop", "length", "content_filter"]), st.integers(1, 50))
def test_what_is_rendered_is_read_as_it_was(blocks: tuple[Text, ...], finish: str, step: int) -> None:
    if finish == "stop" and any(isinstance(block, ToolCall) for block in blocks):
        finish = "tool_calls"
    generation = Generation("r", ASKED.model, blocks, finish, Usage(input=3, output=4, reasoning=2))  # type: ignore[arg-type]
    assert GEMINI.parse_response(GEMINI.render_response(generation, ASKED), READING) == generation
    parser = GEMINI.stream_parser(READING)
    body = streamed(generation)
    events = [event for at in range(0, len(body), step) for event in parser.feed(body[at : at + step])]
    assert fold([*events, *parser.end()]) == generation
