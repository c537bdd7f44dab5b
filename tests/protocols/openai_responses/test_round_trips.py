"""Proofs of reasoning go out to a client and come back in its next request, whoever issued them."""

import json
from typing import Any

import pytest

from app.protocols.conversation import Text, Thinking, ToolCall, ToolResult
from app.protocols.events import Generation
from app.protocols.opaque import Seal
from tests.protocols.openai_responses.room import (
    CODEC,
    DIALECT,
    HELLO,
    body_of,
    frames,
    parsed,
    rendered,
    streamed,
    written,
)

THOUGHTS = [
    Thinking("Let me see.", Seal("anthropic", "EqQBCgIYAh/+=")),
    Thinking("", Seal("anthropic", "EmwKAhgB"), redacted=True),
    Thinking("Let me see.", Seal("gemini", "CiQ.B.c:d")),
    Thinking("", Seal("gemini", "CiQ")),
    Thinking("Let me see.", Seal("deepseek", "")),
    Thinking("Let me see."),
    Thinking("Let me see.", Seal("openai", "rs_68:gAAAA")),
]


def answered(thought: Thinking) -> Generation:
    return Generation("x", "m", (thought, Text("I call."), ToolCall("c_1", "f", "{}")), "tool_calls")


def next_input(output: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a client sends next: the answer's items as it got them, and the tool's result."""
    return [*HELLO, *output, {"type": "function_call_output", "call_id": "c_1", "output": "42"}]


@pytest.mark.parametrize("thought", THOUGHTS)
def test_a_thought_survives_two_turns(thought: Thinking) -> None:
    first = next_input(written(answered(thought))["output"])
    assert parsed(input=first).turns[1].blocks == answered(thought).blocks
    second = written(answered(thought))["output"]
    turns = parsed(input=next_input([*first[1:], *second])).turns
    assert [turn.blocks[0] for turn in turns if turn.role == "assistant"] == [thought, thought]
    assert turns[-1].blocks == (ToolResult("c_1", (Text("42"),)),)


@pytest.mark.parametrize("thought", THOUGHTS)
def test_a_streamed_thought_survives_as_well(thought: Thinking) -> None:
    done = [
        frame["item"] for frame in frames(streamed(answered(thought))) if frame["type"] == "response.output_item.done"
    ]
    assert parsed(input=next_input(done)).turns[1].blocks == answered(thought).blocks


def test_openais_own_proof_goes_back_to_openai() -> None:
    conversation = parsed(input=next_input(written(answered(THOUGHTS[-1]))["output"]))
    (item,) = (item for item in rendered(conversation)["input"] if item["type"] == "reasoning")
    assert (item["id"], item["encrypted_content"]) == ("rs_68", "gAAAA")


def test_a_foreign_proof_is_tagged_and_has_an_id() -> None:
    item = written(answered(THOUGHTS[0]))["output"][0]
    assert item["encrypted_content"] == "kh1.anthropic.EqQBCgIYAh/+="
    assert item["id"] == "rs_01kav3x_0"


def test_reasoning_that_others_sealed_never_reaches_openai() -> None:
    foreign = written(answered(THOUGHTS[0]))["output"]
    own = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"}
    items = next_input([*foreign, own, {"role": "assistant", "content": "Hm."}])
    envelope = CODEC.read_envelope(body_of(input=items, x=1.10))
    sent = json.loads(CODEC.rewrite(envelope, "gpt-5", DIALECT, ()).body)
    assert sent == {"model": "gpt-5", "input": [item for item in items if item is not foreign[0]], "x": 1.10}


def test_reasoning_of_others_that_has_no_proof_never_reaches_openai_which_would_look_for_it_among_its_own() -> None:
    (thought, *rest) = written(answered(Thinking("Hm.")))["output"]
    assert "encrypted_content" not in thought
    stored = {"type": "reasoning", "id": "rs_68af00c4d1e2", "summary": []}
    items = next_input([thought, *rest, stored])
    sent = json.loads(CODEC.rewrite(CODEC.read_envelope(body_of(input=items)), "gpt-5", DIALECT, ()).body)
    assert sent["input"] == [item for item in items if item is not thought]


def test_a_body_without_foreign_proofs_goes_out_byte_for_byte() -> None:
    body = b'{ "model":"a", "input" : [ {"type":"reasoning","encrypted_content":"kh1"}, {"x": 1.10} ] }'
    rewritten = CODEC.rewrite(CODEC.read_envelope(body), "b", DIALECT, ()).body
    assert rewritten == body.replace(b'"a"', b'"b"')


@pytest.mark.parametrize("given", [b'"kh1.x.y"', b'["kh1.x.y"]', b'{"a":"kh1.x.y"}', b'[{"type":["kh1.x.y"]}]'])
def test_a_tag_elsewhere_changes_nothing(given: bytes) -> None:
    body = b'{"model":"a","input":' + given + b"}"
    assert CODEC.rewrite(CODEC.read_envelope(body), "a", DIALECT, ()).body == body
