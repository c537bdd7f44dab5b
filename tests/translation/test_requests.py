"""A client's request in a host's words: golden files, one for each feature, front and host."""

from pathlib import Path

import msgspec
import pytest

from app.base.errors import InvalidRequest
from tests.translation.features import FEATURES, Feature
from tests.translation.paths import NAMES, as_heard, client_body, to_host

GOLDEN = Path(__file__).parent / "golden" / "requests"


@pytest.mark.parametrize("front", NAMES)
@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_each_feature_is_said_to_every_host_as_the_golden_file_has_it(
    feature: Feature, front: str, golden: bool
) -> None:
    body = client_body(front, feature)
    if body is None:
        return  # the client's own protocol has no words for it
    said = {host: _said(front, host, body, thinks=feature.thinks) for host in NAMES if host != front}
    text = msgspec.json.format(msgspec.json.encode({"client": msgspec.Raw(body), "hosts": said}), indent=1)
    path = GOLDEN / f"{feature.name}.{front}.json"
    if golden:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text + b"\n")
    assert path.read_bytes() == text + b"\n", f"pytest {__file__} --update-golden"


def test_no_golden_file_is_left_over() -> None:
    said = {
        f"{feature.name}.{front}.json"
        for feature in FEATURES
        for front in NAMES
        if client_body(front, feature) is not None
    }
    assert {path.name for path in GOLDEN.iterdir()} == said


@pytest.mark.parametrize("host", [name for name in NAMES if name != "openai_chat"])
@pytest.mark.parametrize(("role", "losses"), [("user", ["dropped messages.name"]), ("tool", [])])
def test_the_name_of_one_of_several_speakers_is_dropped_aloud(role: str, losses: list[str], host: str) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "Hello", **({"name": "ada"} if role == "user" else {})},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "name": "f", "content": "ok"},
    ]
    body = msgspec.json.encode({"model": "m", "messages": messages})
    assert _said("openai_chat", host, body, thinks=False)["losses"] == losses


def _said(front: str, host: str, body: bytes, *, thinks: bool) -> dict[str, object]:
    try:
        rendered = to_host(as_heard(front, body), host, thinks=thinks)
    except InvalidRequest as error:
        return {"refused": error.message, "param": error.param}
    return {
        "body": msgspec.Raw(rendered.body),
        "headers": {name.decode(): value.decode() for name, value in rendered.headers},
        "losses": [f"{loss.severity} {loss.field}" for loss in rendered.losses],
    }
