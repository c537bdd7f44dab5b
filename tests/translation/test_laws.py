"""Laws of every path: what a host streams is what its client reads, wherever the bytes are cut."""

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.usage import Usage
from app.protocols.codec import Reading
from app.protocols.conversation import Text, Thinking, ToolCall
from app.protocols.events import Generation, fold, unfold
from app.protocols.opaque import Seal
from app.protocols.translation import Translation
from tests.translation.paths import CODECS, HOSTS, NAMES, asked

PATHS = [(host, front) for host in NAMES for front in NAMES if host != front]
WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
ARGUMENTS = st.dictionaries(WORDS, WORDS | st.integers(-9, 9) | st.booleans() | st.none(), max_size=3).map(json.dumps)
CALLS = st.lists(st.builds(ToolCall, st.just(""), st.sampled_from(["look", "find"]), ARGUMENTS), max_size=3)
COUNTS = st.integers(0, 5000)
USAGES = st.builds(Usage, input=COUNTS, cache_read=COUNTS, output=st.integers(1, 5000))


@st.composite
def generations(draw: st.DrawFn) -> Generation:
    thoughts = [Thinking(text, Seal("the host", "c2VhbA==")) for text in draw(st.lists(WORDS, max_size=1))]
    texts = [Text(text) for text in draw(st.lists(WORDS, max_size=2))]
    calls = [ToolCall(f"call_{number}", call.name, call.arguments) for number, call in enumerate(draw(CALLS))]
    finish = "tool_calls" if calls else draw(st.sampled_from(["stop", "length"]))
    return Generation("gen_1", "the-model", (*thoughts, *texts, *calls), finish, draw(USAGES))  # type: ignore[arg-type]


def issued_by(generation: Generation, issuer: str) -> Generation:
    blocks = tuple(
        Thinking(block.text, Seal(issuer, "c2VhbA==")) if isinstance(block, Thinking) else block
        for block in generation.blocks
    )
    return Generation("gen_1", "the-model", blocks, generation.finish, generation.usage)


def streamed_by(host: str, generation: Generation) -> bytes:
    renderer = CODECS[host].stream_renderer(asked(host, stream=True))
    return b"".join(renderer.feed(event) for event in unfold(generation))


def told_to(front: str, host: str, chunks: Sequence[bytes]) -> Generation:
    """What a client of ``front`` reads of these bytes of ``host``."""
    parser = CODECS[host].stream_parser(Reading(HOSTS[host][0]))
    streaming = Translation(parser, CODECS[front].stream_renderer(asked(front, stream=True)))
    told = b"".join(streaming.feed(chunk) for chunk in chunks) + streaming.flush()
    assert streaming.complete
    reader = CODECS[front].stream_parser(Reading(HOSTS[front][0]))
    return fold([*reader.feed(told), *reader.end()])


def said(generation: Generation) -> dict[str, Any]:
    """What must survive every path."""
    usage = generation.usage or Usage()
    return {
        "text": "".join(block.text for block in generation.blocks if isinstance(block, Text)),
        "thoughts": "".join(block.text for block in generation.blocks if isinstance(block, Thinking)),
        "calls": [
            (block.name, json.loads(block.arguments)) for block in generation.blocks if isinstance(block, ToolCall)
        ],
        "finish": generation.finish,
        "input": usage.input + usage.cache_read + usage.cache_write_5m + usage.cache_write_1h,
        "output": usage.output,
    }


@pytest.mark.parametrize(("host", "front"), PATHS)
@settings(max_examples=25, deadline=None)
@given(generation=generations(), cuts=st.lists(st.floats(0, 1), max_size=4))
def test_what_a_host_streams_is_what_its_client_reads(
    host: str, front: str, generation: Generation, cuts: list[float]
) -> None:
    generation = issued_by(generation, HOSTS[host][0].issuer)
    body = streamed_by(host, generation)
    places = [0, *sorted(int(cut * len(body)) for cut in cuts), len(body)]
    chunks = [body[start:end] for start, end in pairwise(places)]
    assert said(told_to(front, host, chunks)) == said(generation)


@pytest.mark.parametrize(("host", "front"), PATHS)
@settings(max_examples=25, deadline=None)
@given(generation=generations())
def test_what_a_host_answers_whole_is_what_its_client_reads(host: str, front: str, generation: Generation) -> None:
    generation = issued_by(generation, HOSTS[host][0].issuer)
    answered = CODECS[host].render_response(generation, asked(host))
    heard = CODECS[host].parse_response(answered, Reading(HOSTS[host][0]))
    told = CODECS[front].render_response(heard, asked(front))
    assert said(CODECS[front].parse_response(told, Reading(HOSTS[front][0]))) == said(generation)


def frame(delta: dict[str, Any], finish: str | None = None) -> bytes:
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({**chunk, "choices": [choice]}).encode() + b"\n\n"


@st.composite
def interleaved(draw: st.DrawFn) -> tuple[list[ToolCall], list[bytes]]:
    """Parallel calls of a chat completion, the pieces of their arguments in any order between one another."""
    calls = [
        ToolCall(f"call_{number}", call.name, call.arguments) for number, call in enumerate(draw(CALLS.filter(bool)))
    ]
    queues: list[list[dict[str, Any]]] = []
    for number, call in enumerate(calls):
        cut = draw(st.integers(0, len(call.arguments)))
        head = {"index": number, "id": call.call_id, "type": "function", "function": {"name": call.name}}
        head["function"] = {"name": call.name, "arguments": ""}
        pieces = [piece for piece in (call.arguments[:cut], call.arguments[cut:]) if piece]
        queues.append([head, *({"index": number, "function": {"arguments": piece}} for piece in pieces)])
    # A host begins its calls in their order.
    frames = [frame({"role": "assistant", "content": None})]
    begun = 0
    while any(queues):
        ready = [number for number, queue in enumerate(queues) if queue and number <= begun]
        number = draw(st.sampled_from(ready))
        begun = max(begun, number + 1)
        frames.append(frame({"tool_calls": [queues[number].pop(0)]}))
    usage = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
    last = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [], "usage": usage}
    end = b"data: " + json.dumps(last).encode() + b"\n\ndata: [DONE]\n\n"
    return calls, [*frames, frame({}, "tool_calls"), end]


@pytest.mark.parametrize("front", [name for name in NAMES if name != "openai_chat"])
@settings(max_examples=50, deadline=None)
@given(streamed=interleaved())
def test_calls_that_a_chat_host_interleaves_reach_the_client_apart(
    front: str, streamed: tuple[list[ToolCall], list[bytes]]
) -> None:
    calls, frames = streamed
    generation = Generation("c", "m", tuple(calls), "tool_calls", Usage(input=5, output=7))
    assert said(told_to(front, "openai_chat", frames)) == said(generation)
