"""Each request is one that the provider's own SDK declares, unknown members included."""

import json
from typing import Any

import pytest

from app.base.errors import InvalidRequest
from tests.translation.features import FEATURES, Feature
from tests.translation.paths import NAMES, as_heard, client_body, to_host
from tests.translation.request_types import faults_of


@pytest.mark.parametrize("host", NAMES)
@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_each_request_is_as_the_sdk_of_its_host_declares_it(feature: Feature, host: str) -> None:
    for front in NAMES:
        body = client_body(front, feature)
        if front == host or body is None:
            continue
        try:
            rendered = to_host(as_heard(front, body), host, thinks=feature.thinks)
        except InvalidRequest:
            continue
        assert faults_of(host, json.loads(rendered.body)) == [], f"from a client of {front}"


@pytest.mark.parametrize(
    ("host", "body", "fault"),
    [
        ("openai_chat", {"model": "m", "messages": [], "top_k": 1}, "top_k"),
        ("openai_chat", {"model": "m", "messages": [{"role": "user", "content": "x", "cache_control": {}}]}, "cache"),
        ("openai_responses", {"model": "m", "input": [{"type": "message", "role": "x", "content": []}]}, "$.input"),
        ("anthropic_messages", {"model": "m", "max_tokens": 1, "messages": [], "seed": 1}, "seed"),
        ("gemini", {"contents": [{"role": "user", "parts": [{"txt": "x"}]}]}, "txt"),
        ("gemini", {"contents": [], "model": "m"}, "model"),
        ("ollama", {"model": "m", "messages": [{"role": "user", "content": []}]}, "$.messages.0"),
    ],
)
def test_the_judge_finds_what_is_wrong(host: str, body: dict[str, Any], fault: str) -> None:
    assert any(fault in found for found in faults_of(host, body))
