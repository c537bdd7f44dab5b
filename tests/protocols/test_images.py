"""Images in OpenAI's shape for clients, and drawn within a chat completion where a host does it so."""

import contextlib
import json
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.base.errors import InvalidRequest, UpstreamUnreadable
from app.domain.usage import Usage
from app.protocols import images
from app.protocols.images import ImageRequest, Picture, Pictures

PNG = "iVBORw0KGgo="


def dumped(**fields: Any) -> bytes:
    return json.dumps({"model": "draw", "prompt": "A cat"} | fields).encode()


def parsed(**fields: Any) -> ImageRequest:
    return images.parse_request(images.read_envelope(dumped(**fields)))


def rendered(**fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(images.render_openrouter(parsed(**fields), "google/draw").body)
    return body


def losses_of(**fields: Any) -> list[str]:
    return [loss.field for loss in images.render_openrouter(parsed(**fields), "m").losses]


def completion(usage: str = "null", url: str = f"data:image/png;base64,{PNG}") -> bytes:
    """As OpenRouter's reference has it."""
    message = (
        b'{"role":"assistant","content":"Here is a cat.","images":'
        b'[{"type":"image_url","image_url":{"url":"%b"},"index":0}]}' % url.encode()
    )
    return b'{"id":"gen-1","object":"chat.completion","created":1,"choices":[{"message":%b}],"usage":%b}' % (
        message,
        usage.encode(),
    )


def test_seed_d35_an_image_is_a_chat_completion() -> None:
    assert rendered() == {
        "model": "google/draw",
        "messages": [{"role": "user", "content": "A cat"}],
        "modalities": ["image", "text"],
    }


@pytest.mark.parametrize(
    ("size", "ratio"),
    [("1024x1024", "1:1"), ("1536x1024", "3:2"), ("1024x1536", "2:3"), ("1792x1024", "16:9"), ("1024x1792", "9:16")],
)
def test_seed_d36_size_becomes_aspect_ratio(size: str, ratio: str) -> None:
    assert rendered(size=size)["image_config"] == {"aspect_ratio": ratio}
    assert losses_of(size=size) == []


@pytest.mark.parametrize(
    ("quality", "size"), [("low", "1K"), ("standard", "1K"), ("medium", "2K"), ("high", "4K"), ("hd", "4K")]
)
def test_seed_d37_quality_becomes_image_size(quality: str, size: str) -> None:
    assert rendered(quality=quality)["image_config"] == {"image_size": size}
    assert losses_of(quality=quality) == []


def test_seed_d38_n_images_are_asked_for() -> None:
    assert rendered(n=3)["n"] == 3


def test_seed_d39_a_native_image_config_overrides() -> None:
    config = {"aspect_ratio": "21:9", "strength": 0.50}
    assert rendered(size="1024x1024", quality="hd", image_config=config)["image_config"] == {
        "aspect_ratio": "21:9",
        "image_size": "4K",
        "strength": 0.5,
    }
    assert losses_of(size="7x7", quality="ultra", image_config=config) == ["quality"]


def test_what_has_no_place_in_a_chat_completion_is_told() -> None:
    fields = {
        "size": "512x512",
        "quality": "auto",
        "response_format": "url",
        "background": "transparent",
        "style": None,
    }
    assert losses_of(**fields) == ["size", "response_format", "background"]
    assert rendered(**fields, seed=5, user="customer-7") == rendered() | {"seed": 5, "user": "customer-7"}


def test_seed_d40_an_answer_has_its_bytes_and_its_usage() -> None:
    usage = '{"prompt_tokens":7,"completion_tokens":1290,"total_tokens":1297,"cost":0.038703}'
    pictures = images.parse_openrouter(completion(usage), "openrouter")
    assert pictures == Pictures((Picture(b64_json=PNG),), Usage(input=7, output=1290), 38_703_000)
    assert json.loads(images.render_response(pictures, 1_700_000_000)) == {
        "created": 1_700_000_000,
        "data": [{"b64_json": PNG}],
        "usage": {
            "input_tokens": 7,
            "output_tokens": 1290,
            "total_tokens": 1297,
            "input_tokens_details": {"text_tokens": 7, "image_tokens": 0},
        },
    }


def test_seed_d40_an_image_at_an_address_is_a_url() -> None:
    pictures = images.parse_openrouter(completion(url="https://example.com/a.png"), "openrouter")
    assert pictures == Pictures((Picture(url="https://example.com/a.png"),))
    assert json.loads(images.render_response(pictures, 1))["data"] == [{"url": "https://example.com/a.png"}]


@pytest.mark.parametrize(
    ("written", "cost"),
    [
        ("0.1", 100_000_000),
        ("0.000000001", 1),
        ("3.9e-05", 39_000),
        ('"0.04"', 40_000_000),
        ("0", 0),
        ("-1", None),
        ("null", None),
        ("{}", None),
        ('"free"', None),
        ("1e30", None),
        ('"1e999999999"', None),
    ],
)
def test_seed_d41_the_reported_cost_is_exact(written: str, cost: int | None) -> None:
    usage = f'{{"prompt_tokens":1,"completion_tokens":1,"cost":{written}}}'
    assert images.parse_openrouter(completion(usage), "openrouter").cost == cost


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"choices":[]}',
        b'{"choices":[{"message":{"content":"I cannot draw."}}]}',
        b'{"error":5}',
    ],
)
def test_an_answer_without_an_image_is_told_as_such(body: bytes) -> None:
    with pytest.raises(UpstreamUnreadable) as caught:
        images.parse_openrouter(body, "openrouter")
    assert ("I cannot draw." in caught.value.message) == (b"cannot" in body)


def test_only_the_model_changes_for_a_host_of_the_same_shape() -> None:
    body = b'{ "prompt" : "A cat","model":"alias", "n":2 }'
    assert images.rewrite(images.read_envelope(body), "gpt-image-1") == body.replace(b"alias", b"gpt-image-1")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": None}, "model"),
        ({"prompt": None}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": 5}, "prompt"),
        ({"n": "2"}, "n"),
        ({"n": 1000}, "n"),
        ({"size": 1024}, "size"),
        ({"quality": []}, "quality"),
        ({"image_config": "1:1"}, "image_config"),
        ({"stream": True}, "stream"),
    ],
)
def test_what_cannot_be_read_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parsed(**fields)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        (
            b'{"created":1713833628,"data":[{"b64_json":"x"}],"usage":{"total_tokens":100,"input_tokens":50,'
            b'"output_tokens":50,"input_tokens_details":{"text_tokens":10,"image_tokens":40}}}',
            Usage(input=50, output=50),
        ),
        (b'{"created":1,"data":[{"url":"https://a"},{"url":"https://b","revised_prompt":"c"}]}', Usage(images=2)),
        (b'{"created":1,"data":[]}', None),
        (b'{"created":1,"data":5,"usage":7}', None),
        (b"<html>", None),
    ],
)
def test_usage_is_tokens_where_they_are_counted_and_images_else(body: bytes, usage: Usage | None) -> None:
    report = images.scan_response(body)
    assert (report.usage, report.final) == (usage, usage is not None)


def test_openais_client_reads_what_is_written() -> None:
    asked: list[ImageRequest] = []

    def respond(request: httpx2.Request) -> httpx2.Response:
        asked.append(images.parse_request(images.read_envelope(request.read())))
        drawn = images.render_response(Pictures((Picture(PNG), Picture(url="https://a")), Usage(input=7, output=9)), 5)
        return httpx2.Response(200, headers={"content-type": "application/json"}, content=drawn)

    http_client = openai.DefaultHttpxClient(transport=httpx2.MockTransport(respond))
    client = openai.OpenAI(api_key="k", base_url="http://gateway/v1", http_client=http_client, max_retries=0)
    drawn = client.images.generate(model="draw", prompt="A cat", n=2, size="1024x1024", quality="high")
    assert asked == [ImageRequest("draw", "A cat", 2, "1024x1024", "high")]
    assert drawn.data is not None
    assert [(image.b64_json, image.url) for image in drawn.data] == [(PNG, None), (None, "https://a")]
    assert drawn.usage is not None
    assert drawn.usage.total_tokens == 16


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["prompt", "n", "size", "quality", "response_format", "user", "image_config", "style", "seed"])


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(FIELDS, JSON), JSON)
def test_arbitrary_json_raises_only_what_is_declared(fields: dict[str, Any], said: Any) -> None:
    with contextlib.suppress(InvalidRequest):
        images.render_openrouter(parsed(**fields), "m")
    body = json.dumps({"choices": said, "usage": said, "data": said}).encode()
    images.scan_response(body)
    with contextlib.suppress(UpstreamUnreadable):
        images.parse_openrouter(body, "openrouter")
