"""A proof of reasoning goes through every client and comes back to the host that issued it, and to no other."""

import json
from typing import Any

import msgspec
import pytest

from app.protocols.codec import Reading
from app.protocols.conversation import Thinking, ToolCall
from app.protocols.events import Generation
from app.protocols.opaque import Seal
from tests.translation.agents import TARGETS
from tests.translation.paths import CODECS, as_heard, asked, envelope_of

PROOF = "c2VhbA=="
QUESTION = "Where is Paris?"
ISSUING = {"claude": PROOF, "openai": f"rs_1:{PROOF}", "gemini_3": PROOF, "deepseek": ""}
"""Hosts that want their thoughts back within a tool loop, and what they prove them with."""
FRONTS = ("anthropic_messages", "openai_chat", "openai_responses", "gemini")
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}


def asking_again(front: str, answer: dict[str, Any]) -> dict[str, Any]:
    """The client's next request: its question, the answer as it came, and what the tool has said."""
    match front:
        case "anthropic_messages":
            result = {"type": "tool_result", "tool_use_id": answer["content"][-1]["id"], "content": "rain"}
            messages = [
                {"role": "user", "content": QUESTION},
                {"role": "assistant", "content": answer["content"]},
                {"role": "user", "content": [result]},
            ]
            tools = [{"name": "look", "input_schema": SCHEMA}]
            thinking = {"type": "enabled", "budget_tokens": 1024}
            return {"model": "m", "max_tokens": 9000, "messages": messages, "tools": tools, "thinking": thinking}
        case "openai_chat":
            message = answer["choices"][0]["message"]
            called = message["tool_calls"][0]["id"]
            return {
                "model": "m",
                "messages": [
                    {"role": "user", "content": QUESTION},
                    message,
                    {"role": "tool", "tool_call_id": called, "content": "rain"},
                ],
                "tools": [{"type": "function", "function": {"name": "look", "parameters": SCHEMA}}],
                "reasoning_effort": "low",
            }
        case "openai_responses":
            output = {"type": "function_call_output", "call_id": answer["output"][-1]["call_id"], "output": "rain"}
            return {
                "model": "m",
                "input": [{"role": "user", "content": QUESTION}, *answer["output"], output],
                "tools": [{"type": "function", "name": "look", "parameters": SCHEMA}],
                "reasoning": {"effort": "low"},
            }
        case _:
            content = answer["candidates"][0]["content"]
            call = next(part["functionCall"] for part in content["parts"] if "functionCall" in part)
            response = {"name": "look", "response": {"result": "rain"}, "id": call.get("id")}
            return {
                "contents": [
                    {"role": "user", "parts": [{"text": QUESTION}]},
                    content,
                    {"role": "user", "parts": [{"functionResponse": response}]},
                ],
                "tools": [{"functionDeclarations": [{"name": "look", "parametersJsonSchema": SCHEMA}]}],
                "generationConfig": {"thinkingConfig": {"thinkingBudget": 1024}},
            }


def asked_again(front: str, target: str, other: str) -> bytes:
    """What ``other`` is sent after an answer of ``target`` to a client of ``front``."""
    protocol, dialect, _ = TARGETS[target]
    thought = Thinking("In France.", Seal(dialect.issuer, ISSUING[target]))
    generation = Generation("g", "m", (thought, ToolCall("call_1", "look", '{"city":"Paris"}')), "tool_calls")
    answered = CODECS[protocol].render_response(generation, asked(protocol))
    if target == "openai":  # what is told to clients is sealed; the host itself says it bare
        answered = answered.replace(b'"rs_1_0"', b'"rs_1"').replace(b"kh1.openai.rs_1:", b"")
    heard = CODECS[protocol].parse_response(answered, Reading(dialect))
    told = json.loads(CODECS[front].render_response(heard, asked(front)))
    conversation = as_heard(front, json.dumps(asking_again(front, told)).encode())
    protocol, dialect, model = TARGETS[other]
    return CODECS[protocol].render_request(msgspec.structs.replace(conversation, model=model), dialect).body


@pytest.mark.parametrize("target", ISSUING)
@pytest.mark.parametrize("front", FRONTS)
def test_a_proof_comes_back_to_its_issuer_through_every_client(front: str, target: str) -> None:
    if front == TARGETS[target][0]:
        return
    body = json.loads(asked_again(front, target, target))
    match target:
        case "claude":
            first = body["messages"][1]["content"][0]
            assert first == {"type": "thinking", "thinking": "In France.", "signature": PROOF}
            assert body["thinking"]["type"] == "enabled"
        case "openai":
            item = next(item for item in body["input"] if item["type"] == "reasoning")
            assert (item["id"], item["encrypted_content"]) == ("rs_1", PROOF)
            assert body["input"].index(item) == 1
        case "gemini_3":
            (call,) = (part for part in body["contents"][1]["parts"] if "functionCall" in part)
            assert call["thoughtSignature"] == PROOF
        case _:
            assert body["messages"][1]["reasoning_content"] == "In France."


@pytest.mark.parametrize("other", [*ISSUING, "compatible", "ollama", "claude_new"])
@pytest.mark.parametrize("target", ISSUING)
@pytest.mark.parametrize("front", FRONTS)
def test_a_proof_goes_to_no_other_host(front: str, target: str, other: str) -> None:
    protocol, dialect, _ = TARGETS[other]
    if dialect.issuer == TARGETS[target][1].issuer or front == protocol:
        return
    body = asked_again(front, target, other)
    assert PROOF.encode() not in body
    assert b"kh1." not in body
    if other == "gemini_3":
        assert b"skip_thought_signature_validator" in body
    if other in {"claude", "claude_new"}:
        assert b'"thinking":"In France."' not in body
    if other == "claude":
        assert b"budget_tokens" not in body  # refused where a loop does not begin with a thought


@pytest.mark.parametrize("target", ["claude", "openai", "gemini_3"])
def test_a_client_that_passes_the_answer_to_its_own_vendor_sends_no_foreign_proof(target: str) -> None:
    """After a fallback, the same protocol on both sides: the bytes go as they are, without what others sealed."""
    protocol, dialect, _ = TARGETS[target]
    thought = Thinking("In France.", Seal("elsewhere", PROOF))
    generation = Generation("g", "m", (thought, ToolCall("call_1", "look", "{}")), "tool_calls")
    told = json.loads(CODECS[protocol].render_response(generation, asked(protocol)))
    body = json.dumps(asking_again(protocol, told)).encode()
    envelope = envelope_of(protocol, body)
    assert PROOF.encode() in body or b"a2gxL" in body
    passed = CODECS[protocol].rewrite(envelope, "m", dialect, ()).body
    assert PROOF.encode() not in passed
    assert b"a2gxL" not in passed
