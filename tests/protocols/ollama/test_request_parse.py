"""What clients of Ollama ask for, in canonical words."""

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.base.errors import InvalidRequest
from app.protocols.conversation import (
    Base64Source,
    FunctionTool,
    Image,
    JsonFormat,
    Reasoning,
    Sampling,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from app.protocols.opaque import Seal
from tests.protocols.ollama.builders import CHAT, OLLAMA, PNG, dumped, parsed


def test_leading_system_messages_are_instructions_and_later_ones_are_turns() -> None:
    conversation = parsed(
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
            {"role": "system", "content": "Be long."},
        ]
    )
    assert conversation.instructions == (Text("Be brief."),)
    assert conversation.turns == (Turn("user", (Text("Hi"),)), Turn("system", (Text("Be long."),)))


def test_who_says_nothing_of_stream_gets_one() -> None:
    assert OLLAMA.read_envelope(dumped(messages=[])).stream
    assert OLLAMA.read_envelope(dumped(messages=[], stream=None)).stream
    assert not OLLAMA.read_envelope(dumped(messages=[], stream=False)).stream


def test_results_find_their_calls_by_name_and_order() -> None:
    call = {"function": {"name": "look", "arguments": {"at": 1}}}
    other = {"function": {"name": "hear", "arguments": {}}}
    conversation = parsed(
        messages=[
            {"role": "user", "content": "?"},
            {"role": "assistant", "content": "", "thinking": "hm", "tool_calls": [call, other, call]},
            {"role": "tool", "tool_name": "hear", "content": "silence"},
            {"role": "tool", "tool_name": "look", "content": "one"},
            {"role": "tool", "content": "two"},
        ]
    )
    assert conversation.turns[1:] == (
        Turn(
            "assistant",
            (
                Thinking("hm", Seal("ollama", "")),
                ToolCall("call_1", "look", '{"at": 1}'),
                ToolCall("call_2", "hear", "{}"),
                ToolCall("call_3", "look", '{"at": 1}'),
            ),
        ),
        Turn("user", (ToolResult("call_2", (Text("silence"),)),)),
        Turn("user", (ToolResult("call_1", (Text("one"),)),)),
        Turn("user", (ToolResult("call_3", (Text("two"),)),)),
    )


def test_ids_that_a_client_gives_are_kept() -> None:
    call = {"id": "c9", "function": {"name": "look", "arguments": {}}}
    conversation = parsed(
        messages=[
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c9", "content": "x"},
        ]
    )
    assert conversation.turns[1].blocks == (ToolResult("c9", (Text("x"),)),)


def test_options_are_sampling_and_what_only_ollama_has_is_an_extra() -> None:
    options = {
        "num_predict": 10,
        "temperature": 1,
        "top_p": 0.5,
        "top_k": 4,
        "seed": 7,
        "stop": ["a"],
        "frequency_penalty": 0.1,
        "presence_penalty": 0.2,
        "num_ctx": 8192,
        "mirostat": None,
    }
    conversation = parsed(messages=[{"role": "user", "content": "Hi"}], options=options, keep_alive="5m")
    assert conversation.sampling == Sampling(1.0, 0.5, 4, 7, 0.1, 0.2, ("a",))
    assert conversation.max_output_tokens == 10
    assert conversation.extras == {"options": '{"num_ctx":8192}', "keep_alive": '"5m"'}


@pytest.mark.parametrize("count", [-1, -2])
def test_no_end_is_no_maximum(count: int) -> None:
    assert parsed(prompt="Hi", options={"num_predict": count}).max_output_tokens is None


def test_generate_is_one_turn_with_its_pictures() -> None:
    conversation = parsed(prompt="What?", system="Be brief.", images=[PNG], suffix="end", raw=True, context=[1])
    assert conversation.turns == (Turn("user", (Text("What?"), Image(Base64Source("image/png", PNG)))),)
    assert conversation.instructions == (Text("Be brief."),)
    assert conversation.extras == {"suffix": '"end"', "raw": "true", "context": "[1]"}


@pytest.mark.parametrize(
    ("think", "reasoning"),
    [
        (None, None),
        (False, Reasoning("none")),
        (True, Reasoning("medium", shown=True)),
        ("high", Reasoning("high", shown=True)),
    ],
)
def test_think_is_reasoning(think: Any, reasoning: Reasoning | None) -> None:
    assert parsed(prompt="Hi", think=think).reasoning == reasoning


@pytest.mark.parametrize(
    ("written", "wanted"),
    [(None, None), ("", None), ("json", JsonFormat()), ({"type": "object"}, JsonFormat('{"type": "object"}'))],
)
def test_format_is_the_output_format(written: Any, wanted: JsonFormat | None) -> None:
    assert parsed(prompt="Hi", format=written).output_format == wanted


def test_tools_are_functions() -> None:
    function = {"name": "look", "description": "Looks.", "parameters": {"type": "object"}}
    conversation = parsed(messages=[{"role": "user", "content": "Hi"}], tools=[{"function": function}])
    assert conversation.tools == (FunctionTool("look", "Looks.", '{"type": "object"}'),)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "messages"),
        ({"prompt": 5}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"messages": []}, "messages"),
        ({"messages": 7}, "messages"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages.0.content"),
        ({"messages": [{"role": "narrator", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.tool_name"),
        ({"messages": [{"role": "user", "images": ["@@@"]}]}, "messages.0.images.0"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "a", "arguments": "{}"}}]}]},
            "messages.0.tool_calls.0.function.arguments",
        ),
        ({"prompt": "x", "think": "a lot"}, "think"),
        ({"prompt": "x", "format": "xml"}, "format"),
        ({"prompt": "x", "tools": [{"function": {"name": "a", "parameters": []}}]}, "tools.0.function.parameters"),
        ({"prompt": "x", "options": []}, "options"),
        ({"prompt": "x", "options": {"seed": "1"}}, "options.seed"),
        ({"prompt": "x", "options": {"seed": 10**30}}, "options.seed"),
        ({"prompt": "x", "options": {"num_predict": 10**10}}, "options.num_predict"),
        ({"prompt": "x", "stream": 1}, "stream"),
    ],
)
def test_what_cannot_be_read_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parsed(**fields)
    assert caught.value.param == param


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    ["messages", "prompt", "system", "images", "tools", "stream", "options", "format", "think", "keep_alive"]
)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "tool", "system", "x"])},
    optional=dict.fromkeys(("content", "images", "tool_calls", "thinking", "tool_name", "tool_call_id"), JSON),
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(FIELDS, JSON), st.none() | st.lists(MESSAGE, max_size=3))
def test_arbitrary_json_raises_nothing_but_invalid_request(fields: dict[str, Any], messages: Any) -> None:
    if messages is not None:
        fields["messages"] = messages
    with contextlib.suppress(InvalidRequest):
        parsed(**fields)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=64))
def test_arbitrary_bytes_raise_nothing_but_invalid_request(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        OLLAMA.parse_request(OLLAMA.read_envelope(body), ())


def test_only_the_model_changes_on_the_way_to_ollama() -> None:
    body = b'{ "model":"a","messages" : [ ],"options":{"x":1.10}}'
    assert OLLAMA.rewrite(OLLAMA.read_envelope(body), "b", CHAT, ()).body == body.replace(b'"a"', b'"b"')
