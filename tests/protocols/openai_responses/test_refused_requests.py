"""What a client asks for that cannot be read, or needs a state that nobody keeps, is refused by name."""

from typing import Any

import pytest

from app.base.errors import InvalidRequest
from tests.protocols.openai_responses.room import CODEC, HELLO, body_of, parsed

FUNCTION = {
    "type": "function",
    "name": "f",
    "description": "Does f.",
    "parameters": {"type": "object"},
    "strict": False,
}


def refused(**fields: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        parsed(**fields)
    return caught.value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("previous_response_id", "resp_1"),
        ("conversation", "conv_1"),
        ("conversation", {"id": "conv_1"}),
        ("prompt", {"id": "pmpt_1"}),
    ],
)
def test_what_needs_state_is_refused(name: str, value: object) -> None:
    error = refused(**{name: value})
    assert error.param == name
    assert "keeps no state" in error.message


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_in_the_background_is_refused_for_every_host_as_nobody_would_learn_its_cost(stream: bool) -> None:
    with pytest.raises(InvalidRequest, match="could be held against no budget") as caught:
        CODEC.read_envelope(body_of(background=True, stream=stream))
    assert caught.value.param == "background"
    assert CODEC.read_envelope(body_of(background=False)).model == "team/gpt"


def test_a_reference_to_a_stored_item_is_refused() -> None:
    error = refused(input=[*HELLO, {"type": "item_reference", "id": "msg_1"}])
    assert error.param == "input[1]"
    assert "whole history" in error.message


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": None}, "input"),
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": 5}, "input"),
        ({"input": [5]}, "input[0]"),
        ({"input": [{}]}, "input[0]"),
        ({"input": [{"role": "critic", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": 5}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
        ({"input": [{"role": "user", "content": [{"text": "x"}]}]}, "input[0].content[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0].image_url"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "data:image/png,x"}]}]},
            "input[0].content[0].image_url",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "a.png"}]}]},
            "input[0].content[0].image_url",
        ),
        ({"input": [{"type": "function_call", "call_id": "c", "name": ""}]}, "input[0].name"),
        ({"input": [{"type": "function_call", "name": "f"}]}, "input[0].call_id"),
        (
            {
                "input": [
                    {
                        "type": "function_call_output",
                        "call_id": "c",
                        "output": [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}],
                    }
                ]
            },
            "input[0].output[0]",
        ),
        ({"instructions": 5}, "instructions"),
        ({"tools": 5}, "tools"),
        ({"tools": [{}]}, "tools[0]"),
        ({"tools": [{"type": "function", "name": ""}]}, "tools[0].name"),
        ({"tools": [{"type": "function"}]}, "tools[0]"),
        ({"tools": [{"type": "function", "name": "f", "parameters": []}]}, "tools[0].parameters"),
        ({"tools": [FUNCTION, FUNCTION]}, "tools"),
        ({"tools": [{"type": "mcp", "server_label": "s", "server_url": "https://s"}]}, "tools[0].require_approval"),
        (
            {
                "tools": [
                    {
                        "type": "mcp",
                        "server_label": "s",
                        "server_url": "https://s",
                        "require_approval": "never",
                        "headers": {"x-key": "1"},
                    }
                ]
            },
            "tools[0].headers",
        ),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"tool_choice": {"type": "mcp", "server_label": "s"}}, "tool_choice"),
        ({"tool_choice": {"type": "function"}}, "tool_choice"),
        ({"parallel_tool_calls": "yes"}, "parallel_tool_calls"),
        ({"temperature": "hot"}, "temperature"),
        ({"reasoning": {"effort": "extreme"}}, "reasoning.effort"),
        ({"reasoning": "high"}, "reasoning"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "name": "a"}}}, "text.format.schema"),
        ({"user": 5}, "user"),
        ({"background": "yes"}, "background"),
        ({"include": "all"}, "include"),
    ],
)
def test_what_cannot_be_read_is_named(fields: dict[str, Any], param: str) -> None:
    assert refused(**fields).param == param
