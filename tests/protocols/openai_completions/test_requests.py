"""A prompt is a question, and a question is a prompt."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.base.errors import InvalidRequest
from app.protocols.conversation import (
    Base64Source,
    Conversation,
    FunctionTool,
    Image,
    JsonFormat,
    Reasoning,
    Sampling,
    Text,
    ToolChoice,
    Turn,
)
from tests.protocols.openai_completions.builders import COMPLETIONS, DIALECT, dumped, parsed

QUESTION = (Turn("user", (Text("Say"),)),)


def rendered(conversation: Conversation) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(COMPLETIONS.render_request(conversation, DIALECT).body)
    return body


def test_a_prompt_is_one_question() -> None:
    conversation = parsed(
        max_tokens=16,
        temperature=1,
        top_p=0.5,
        seed=3,
        stop="a",
        frequency_penalty=0.1,
        presence_penalty=0.2,
        user="customer-7",
        stream=True,
        stream_options={"include_usage": True},
        suffix="!",
        logprobs=3,
        n=1,
        echo=False,
        best_of=2,
    )
    assert conversation == Conversation(
        "instruct",
        QUESTION,
        sampling=Sampling(1.0, 0.5, None, 3, 0.1, 0.2, ("a",)),
        max_output_tokens=16,
        stream=True,
        end_user="customer-7",
        extras={"suffix": '"!"', "logprobs": "3", "best_of": "2"},
    )


def test_a_list_of_one_prompt_is_that_prompt() -> None:
    assert parsed(prompt=["Say"]).turns == QUESTION


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": [7]}, "prompt"),
        ({"prompt": [[1, 2]]}, "prompt"),
        ({"prompt": {"a": 1}}, "prompt"),
        ({"n": 2}, "n"),
        ({"n": 1000}, "n"),
        ({"best_of": 1000}, "best_of"),
        ({"echo": True}, "echo"),
        ({"echo": 5}, "echo"),
        ({"stop": 5}, "stop"),
        ({"seed": 10**30}, "seed"),
        ({"temperature": "hot"}, "temperature"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"stream_options": 5}, "stream_options"),
    ],
)
def test_what_cannot_be_said_or_read_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parsed(**fields)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("fields", "tokens"),
    [
        ({}, None),
        ({"max_tokens": 10}, 10),
        ({"max_tokens": 10, "n": 3}, 30),
        ({"max_tokens": 10, "n": 2, "best_of": 4}, 40),
        ({"max_tokens": 10, "prompt": ["a", "b", "c"]}, 30),
        ({"max_tokens": 10, "prompt": [1, 2, 3]}, 10),
        ({"max_tokens": 10, "prompt": [[1, 2], [3]]}, 20),
    ],
)
def test_an_envelope_knows_the_most_that_may_come_out(fields: dict[str, Any], tokens: int | None) -> None:
    assert COMPLETIONS.read_envelope(dumped(**fields)).max_output_tokens == tokens


@pytest.mark.parametrize(
    ("sent", "expected", "withhold"),
    [
        (b'{"model":"a", "prompt" : "x"}', b'{"model":"b", "prompt" : "x"}', False),
        (
            b'{"model":"a","stream":true}',
            b'{"model":"b","stream":true,"stream_options":{"include_usage":true}}',
            True,
        ),
        (
            b'{"model":"a","stream":true,"stream_options":{"include_usage":true}}',
            b'{"model":"b","stream":true,"stream_options":{"include_usage":true}}',
            False,
        ),
    ],
)
def test_a_stream_is_always_counted_and_shown_only_if_asked(sent: bytes, expected: bytes, withhold: bool) -> None:
    outgoing = COMPLETIONS.rewrite(COMPLETIONS.read_envelope(sent), "b", DIALECT, ())
    assert (outgoing.body, outgoing.withhold_usage) == (expected, withhold)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"instructions": (Text("Be brief."),)}, "messages"),
        ({"turns": (*QUESTION, *QUESTION)}, "messages"),
        ({"turns": (Turn("assistant", (Text("Say"),)),)}, "messages"),
        ({"turns": ()}, "messages"),
        ({"turns": (Turn("user", (Image(Base64Source("image/png", "iVBO")),)),)}, "messages.0.content"),
        ({"tools": (FunctionTool("look"),)}, "tools"),
        ({"output_format": JsonFormat()}, "response_format"),
    ],
)
def test_only_a_lone_question_is_a_prompt(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        rendered(Conversation("m", **({"turns": QUESTION} | fields)))
    assert caught.value.param == param


def test_knobs_that_are_not_here_are_told() -> None:
    conversation = Conversation(
        "m",
        QUESTION,
        tools=(FunctionTool("look"),),
        tool_choice=ToolChoice("none"),
        sampling=Sampling(top_k=5),
        reasoning=Reasoning("high"),
        extras={"suffix": '"!"', "keep_alive": "5"},
        headers=(("anthropic-beta", "x"),),
        stream=True,
    )
    assert rendered(conversation) == {
        "model": "m",
        "prompt": "Say",
        "suffix": "!",
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    losses = COMPLETIONS.render_request(conversation, DIALECT).losses
    assert {loss.field for loss in losses} == {"top_k", "reasoning", "keep_alive", "extra_headers.anthropic-beta"}


FLOATS = st.none() | st.floats(0, 2)
CONVERSATIONS = st.builds(
    Conversation,
    model=st.just("instruct"),
    turns=st.text(min_size=1).map(lambda text: (Turn("user", (Text(text),)),)),
    sampling=st.builds(
        Sampling, FLOATS, FLOATS, st.none(), st.none() | st.integers(0, 99), FLOATS, FLOATS, st.just(("a", "b"))
    ),
    max_output_tokens=st.none() | st.integers(1, 9999),
    stream=st.booleans(),
    end_user=st.none() | st.just("customer-7"),
    extras=st.just({}) | st.just({"suffix": '"!"'}),
)


@settings(max_examples=100, deadline=None)
@given(CONVERSATIONS)
def test_what_was_said_is_read_again(conversation: Conversation) -> None:
    said = COMPLETIONS.render_request(conversation, DIALECT)
    assert said.losses == ()
    assert COMPLETIONS.parse_request(COMPLETIONS.read_envelope(said.body), ()) == conversation


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    ["prompt", "max_tokens", "n", "best_of", "stop", "seed", "stream_options", "top_p", "echo", "user"]
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(FIELDS, JSON), st.binary(max_size=40))
def test_nothing_but_invalid_request_is_raised(fields: dict[str, Any], junk: bytes) -> None:
    with contextlib.suppress(InvalidRequest):
        parsed(**fields)
    with pytest.raises(InvalidRequest):
        COMPLETIONS.read_envelope(junk)
