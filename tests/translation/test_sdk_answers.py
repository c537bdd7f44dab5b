"""Each answer of each host is understood by the SDK of each client, whole and streamed alike."""

import json

import pytest

from app.domain.usage import Usage
from app.protocols.codec import Reading
from app.protocols.conversation import Refusal, Text, ToolCall
from tests.translation.paths import CODECS, HOSTS, NAMES, asked
from tests.translation.sdk_answers import SDKS
from tests.translation.test_answers import CASES, generation_of, host_bytes, translation

FINISHES = {
    "anthropic_messages": {
        "stop": "end_turn",
        "stop_sequence": "end_turn",
        "length": "max_tokens",
        "tool_calls": "tool_use",
        "content_filter": "refusal",
    },
    "openai_chat": {"stop_sequence": "stop"},
    "openai_responses": {
        "stop": "completed",
        "stop_sequence": "completed",
        "tool_calls": "completed",
        "length": "incomplete",
        "content_filter": "incomplete",
    },
    "gemini": {
        "stop": "STOP",
        "stop_sequence": "STOP",
        "tool_calls": "STOP",
        "length": "MAX_TOKENS",
        "content_filter": "SAFETY",
    },
    "ollama": {"stop_sequence": "stop", "tool_calls": "stop", "content_filter": "stop"},
}


@pytest.mark.parametrize("front", NAMES)
@pytest.mark.parametrize("host", NAMES)
@pytest.mark.parametrize("case", [*CASES, "thoughtful"])
def test_the_sdk_of_the_client_hears_what_the_host_has_said(case: str, host: str, front: str) -> None:
    if front == host:
        return
    generation = generation_of(case, host)
    heard = CODECS[host].parse_response(host_bytes(case, host, stream=False), Reading(HOSTS[host][0]))
    whole = SDKS[front](CODECS[front].render_response(heard, asked(front)), False)
    streaming = translation(front, host)
    streamed = SDKS[front](streaming.feed(host_bytes(case, host, stream=True)) + streaming.flush(), True)
    assert streamed == whole
    usage = generation.usage or Usage()
    said = (block.text for block in generation.blocks if isinstance(block, Text | Refusal))
    assert whole.text == "".join(said)
    assert whole.calls == tuple(
        (block.name, json.loads(block.arguments)) for block in generation.blocks if isinstance(block, ToolCall)
    )
    assert whole.input_tokens == usage.input + usage.cache_read + usage.cache_write_5m + usage.cache_write_1h
    assert whole.output_tokens == usage.output
    # A host without a word for it (Ollama has none for a refusal) says stop.
    finish = heard.finish
    assert whole.finish == FINISHES[front].get(finish, finish)
