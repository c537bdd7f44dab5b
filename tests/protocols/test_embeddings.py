"""Embeddings in OpenAI's shape for clients, in the shape of each host towards it."""

import base64
import contextlib
import json
import struct
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.base.errors import InvalidRequest, UpstreamUnreadable
from app.domain.usage import Usage
from app.protocols import embeddings
from app.protocols.embeddings import SHAPES, EmbeddingRequest, Embeddings
from tests.protocols.streams import answer

VECTORS = ([0.5, -1.25], [2.0, 1e-3])


def dumped(**fields: Any) -> bytes:
    return json.dumps({"model": "embed", "input": "Hello"} | fields).encode()


def parsed(**fields: Any) -> EmbeddingRequest:
    return embeddings.parse_request(embeddings.read_envelope(dumped(**fields)))


def rendered(shape: str, **fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(SHAPES[shape].render(parsed(**fields), "host-embed").body)
    return body


def losses_of(shape: str, **fields: Any) -> list[str]:
    return [loss.field for loss in SHAPES[shape].render(parsed(**fields), "m").losses]


@pytest.mark.parametrize(
    ("written", "inputs"),
    [
        ("Hello", ("Hello",)),
        (["Hello", "you"], ("Hello", "you")),
        ([1, 2], ((1, 2),)),
        ([[1, 2], [3]], ((1, 2), (3,))),
    ],
)
def test_an_input_is_texts_or_tokens(written: Any, inputs: Any) -> None:
    assert parsed(input=written).inputs == inputs


def test_all_that_a_client_says_is_read() -> None:
    asked = parsed(encoding_format="base64", dimensions=256, user="customer-7", truncate=True, title=None)
    assert asked == EmbeddingRequest("embed", ("Hello",), "base64", 256, "customer-7", {"truncate": "true"})


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": ""}, "model"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": ["a", 1]}, "input"),
        ({"input": ["a", [1]]}, "input"),
        ({"input": [1, [1]]}, "input"),
        ({"input": [-1]}, "input"),
        ({"input": [1.5]}, "input"),
        ({"input": {"text": "a"}}, "input"),
        ({"encoding_format": "int8"}, "encoding_format"),
        ({"dimensions": -1}, "dimensions"),
        ({"dimensions": "many"}, "dimensions"),
    ],
)
def test_what_cannot_be_read_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parsed(**fields)
    assert caught.value.param == param


def test_an_envelope_has_no_output() -> None:
    envelope = embeddings.read_envelope(dumped(user="customer-7"))
    assert (envelope.model, envelope.stream, envelope.max_output_tokens) == ("embed", False, 0)
    assert envelope.customer == "customer-7"


def test_seed_d34_only_the_model_changes_for_a_host_of_the_same_shape() -> None:
    body = b'{ "model":"alias","input" : [ "\xc3\xa9" ],"encoding_format":"base64"}'
    sent = embeddings.rewrite(embeddings.read_envelope(body), "openai/text-embedding-3-small")
    assert sent == body.replace(b'"alias"', b'"openai/text-embedding-3-small"')


def test_ollama_is_asked_for_a_list() -> None:
    assert rendered("ollama", dimensions=64, keep_alive="5m") == {
        "model": "host-embed",
        "input": ["Hello"],
        "dimensions": 64,
        "keep_alive": "5m",
    }


def test_gemini_is_asked_once_for_each_text() -> None:
    assert rendered("gemini", input=["a", "b"], dimensions=64, task_type="RETRIEVAL_QUERY") == {
        "requests": [
            {
                "model": "models/host-embed",
                "outputDimensionality": 64,
                "taskType": "RETRIEVAL_QUERY",
                "content": {"parts": [{"text": text}]},
            }
            for text in ("a", "b")
        ]
    }


@pytest.mark.parametrize("input_type", [None, "search_query"])
def test_cohere_is_told_what_the_texts_are_for(input_type: str | None) -> None:
    assert rendered("cohere", dimensions=256, input_type=input_type) == {
        "model": "host-embed",
        "texts": ["Hello"],
        "input_type": input_type or "search_document",
        "embedding_types": ["float"],
        "output_dimension": 256,
    }


@pytest.mark.parametrize("shape", SHAPES)
def test_tokens_are_for_hosts_of_the_same_shape_and_losses_are_told(shape: str) -> None:
    assert losses_of(shape, user="customer-7", logit_bias=5) == ["user", "logit_bias"]
    with pytest.raises(InvalidRequest, match="in tokens") as caught:
        rendered(shape, input=[[1, 2]])
    assert caught.value.param == "input"


ANSWERS = {
    "ollama": (
        b'{"model":"all-minilm","embeddings":[[0.5,-1.25],[2,1e-3]],"total_duration":14143917,'
        b'"load_duration":1019500,"prompt_eval_count":8}'
    ),
    "gemini": (b'{"embeddings":[{"values":[0.5,-1.25]},{"values":[2,1e-3]}],"usageMetadata":{"promptTokenCount":8}}'),
    "cohere": (
        b'{"id":"da6e531f","embeddings":{"float":[[0.5,-1.25],[2,0.001]]},"texts":["a","b"],'
        b'"meta":{"api_version":{"version":"2"},"billed_units":{"input_tokens":8}},"response_type":"embeddings_by_type"}'
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_an_answer_of_each_host_is_read(shape: str) -> None:
    asked = parsed(input=["a", "b"])
    assert SHAPES[shape].parse(ANSWERS[shape], asked, "host") == Embeddings(VECTORS, Usage(input=8))
    with pytest.raises(UpstreamUnreadable, match="2 embeddings for 1 inputs"):
        SHAPES[shape].parse(ANSWERS[shape], parsed(), "host")


def test_a_host_that_counts_nothing_has_no_usage() -> None:
    asked = parsed()
    assert SHAPES["gemini"].parse(b'{"embeddings":[{"values":[1]}]}', asked, "gemini").usage is None
    assert SHAPES["ollama"].parse(b'{"embeddings":[[1]]}', asked, "ollama").usage is None
    assert SHAPES["cohere"].parse(b'{"embeddings":{"float":[[1]]},"meta":5}', asked, "cohere").usage is None


def test_an_answer_is_in_the_encoding_asked_for() -> None:
    told = json.loads(embeddings.render_response(Embeddings(VECTORS, Usage(input=8)), parsed(), 3))
    assert told == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": VECTORS[0]},
            {"object": "embedding", "index": 1, "embedding": VECTORS[1]},
        ],
        "model": "embed",
        "usage": {"prompt_tokens": 8, "total_tokens": 8},
    }
    told = json.loads(embeddings.render_response(Embeddings(VECTORS), parsed(encoding_format="base64"), 3))
    packed = base64.b64decode(told["data"][1]["embedding"])
    assert packed == struct.pack("<2f", 2.0, 1e-3)
    assert told["usage"] == {"prompt_tokens": 3, "total_tokens": 3}


def test_a_number_beyond_single_precision_is_the_largest_one() -> None:
    told = json.loads(embeddings.render_response(Embeddings(([1e300, -1e300],)), parsed(encoding_format="base64"), 0))
    assert struct.unpack("<2f", base64.b64decode(told["data"][0]["embedding"])) == (
        3.4028234663852886e38,
        -3.4028234663852886e38,
    )


def test_usage_is_read_as_an_answer_passes() -> None:
    report = embeddings.scan_response(answer("openai_chat/embedding.json"))
    assert report.usage is not None
    assert report.usage.input > 0
    assert (report.final, report.usage.output) == (True, 0)
    assert embeddings.scan_response(b"<html>").usage is None
    assert embeddings.scan_response(b'{"data":[],"usage":5}').usage is None


@pytest.mark.parametrize("encoding", ["float", openai.omit])
def test_openais_client_reads_what_is_written(encoding: Any) -> None:
    asked: list[EmbeddingRequest] = []

    def respond(request: httpx2.Request) -> httpx2.Response:
        asked.append(embeddings.parse_request(embeddings.read_envelope(request.read())))
        body = embeddings.render_response(Embeddings(VECTORS, Usage(input=8)), asked[0], 0)
        return httpx2.Response(200, headers={"content-type": "application/json"}, content=body)

    http_client = openai.DefaultHttpxClient(transport=httpx2.MockTransport(respond))
    client = openai.OpenAI(api_key="k", base_url="http://gateway/v1", http_client=http_client, max_retries=0)
    made = client.embeddings.create(model="embed", input=["a", "b"], encoding_format=encoding, dimensions=2)
    assert [row.embedding for row in made.data] == [pytest.approx(vector, rel=1e-6) for vector in VECTORS]
    assert made.usage.total_tokens == 8
    assert asked[0].encoding == ("float" if encoding == "float" else "base64")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(JSON, JSON, JSON, JSON)
def test_arbitrary_json_raises_only_what_is_declared(text: Any, encoding: Any, dimensions: Any, vectors: Any) -> None:
    with contextlib.suppress(InvalidRequest):
        asked = parsed(input=text, encoding_format=encoding, dimensions=dimensions)
        for shape in SHAPES.values():
            with contextlib.suppress(InvalidRequest):
                shape.render(asked, "m")
    body = json.dumps({"embeddings": vectors, "usage": vectors}).encode()
    embeddings.scan_response(body)
    for shape in SHAPES.values():
        with contextlib.suppress(UpstreamUnreadable):
            shape.parse(body, parsed(), "host")
