"""At which service tier a provider served a call is read from its answer, passed on or translated."""

from typing import Any

import msgspec
import pytest

from app.protocols.codec import Codec, Reading
from app.protocols.registry import all_codecs
from app.protocols.service_tiers import asked_service
from app.providers.host_table import HOSTS

CHAT = {
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 2},
}
RESPONSES = {
    "object": "response",
    "status": "completed",
    "output": [],
    "usage": {"input_tokens": 5, "output_tokens": 2},
}
MESSAGE = {"type": "message", "role": "assistant", "content": [], "stop_reason": "end_turn"}
COUNTS = {"input_tokens": 5, "output_tokens": 2}
RESPONSES = {"object": "response", "status": "completed", "output": [], "usage": COUNTS}
GEMINI = {"candidates": [{"content": {"parts": [{"text": "hi"}]}, "finishReason": "STOP"}]}


def gemini(traffic: str) -> dict[str, Any]:
    return GEMINI | {"usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2, "trafficType": traffic}}


def message(**said: str) -> dict[str, Any]:
    return MESSAGE | {"usage": COUNTS | said}


ANSWERS = [
    ("openai_chat", "openai", CHAT | {"service_tier": "priority"}, "priority"),
    ("openai_chat", "openai", CHAT | {"service_tier": "fast"}, "priority"),
    ("openai_chat", "openai", CHAT | {"service_tier": "flex"}, "flex"),
    ("openai_chat", "openai", CHAT | {"service_tier": "default"}, ""),
    ("openai_chat", "openai", CHAT | {"service_tier": ["odd"]}, ""),
    ("openai_responses", "openai", RESPONSES | {"service_tier": "flex"}, "flex"),
    ("openai_responses", "openai", RESPONSES, ""),
    ("anthropic_messages", "anthropic", message(service_tier="batch"), "batch"),
    ("anthropic_messages", "anthropic", message(service_tier="priority", speed="standard"), ""),
    ("anthropic_messages", "anthropic", message(speed="fast", inference_geo="us"), "fast+us"),
    ("anthropic_messages", "anthropic", message(inference_geo="global"), ""),
    ("gemini", "gemini", gemini("ON_DEMAND_FLEX"), "flex"),
    ("gemini", "gemini", gemini("ON_DEMAND"), ""),
]


@pytest.mark.parametrize(("protocol", "provider", "answer", "service"), ANSWERS)
def test_an_answer_says_its_service_tier_whether_it_is_passed_on_or_translated(
    protocol: str, provider: str, answer: dict[str, Any], service: str
) -> None:
    codec: Codec = all_codecs()[protocol]
    speech = next(speech for speech in HOSTS[provider].speaks if speech.protocol == protocol)
    body = msgspec.json.encode(answer)

    passed, translated = codec.scan_response(body).usage, codec.parse_response(body, Reading(speech.dialect)).usage

    assert passed is not None
    assert translated is not None
    assert (passed.service, translated.service) == (service, service)
    assert (passed.prompt_tokens, passed.output) == (5, 2)


@pytest.mark.parametrize("split", [False, True])
def test_a_stream_of_chat_says_its_service_tier_before_or_with_the_usage(split: bool) -> None:
    chunk = {"choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}]}
    counted: dict[str, Any] = {"choices": [], "usage": CHAT["usage"]}
    (chunk if split else counted)["service_tier"] = "flex"  # type: ignore[assignment]  # of JSON
    frames = b"".join(b"data: %b\n\n" % msgspec.json.encode(one) for one in (chunk, counted)) + b"data: [DONE]\n\n"
    scanner = all_codecs()["openai_chat"].stream_scanner(withhold_usage=False)
    scanner.feed(frames)

    usage = scanner.report().usage
    assert usage is not None
    assert usage.service == "flex"


def test_a_stream_of_messages_keeps_what_its_beginning_said() -> None:
    scanner = all_codecs()["anthropic_messages"].stream_scanner(withhold_usage=False)
    for event in (
        {"type": "message_start", "message": {"usage": COUNTS | {"inference_geo": "us"}}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}},
        {"type": "message_stop"},
    ):
        scanner.feed(b"data: %b\n\n" % msgspec.json.encode(event))

    usage = scanner.report().usage
    assert usage is not None
    assert (usage.service, usage.output) == ("us", 9)


@pytest.mark.parametrize(
    ("fields", "service"),
    [
        ({}, ""),
        ({"service_tier": "auto"}, ""),
        ({"service_tier": "flex"}, ""),  # a host without it serves at the standard price
        ({"service_tier": "priority"}, "priority"),
        ({"service_tier": 5, "speed": None}, ""),
        ({"speed": "fast", "inference_geo": "us"}, "fast+us"),
    ],
)
def test_what_is_asked_for_and_is_dearer_is_held(fields: dict[str, object], service: str) -> None:
    assert asked_service({name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()}) == service
