"""Embeddings: one shape for all clients, OpenAI's; and how hosts with another shape are asked, and answer.

Sources: the public API references, OpenAI's "Create embeddings", Ollama's "Generate embeddings", Google's
"batchEmbedContents" and Cohere's "Embed (v2)". Errors of clients and hosts are those of ``openai_errors``.
"""

import base64
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from app.base.errors import InvalidRequest, UpstreamUnreadable
from app.domain.usage import Usage
from app.protocols.codec import Envelope, UsageReport
from app.protocols.envelope import (
    as_label,
    read_count,
    read_fields,
    read_loosely,
    read_model,
    splice,
)
from app.protocols.losses import Loss, Losses, refusal
from app.protocols.scanning import UNREADABLE, count_of

Encoding = Literal["float", "base64"]
Tokens = tuple[int, ...]
Vector = list[float]
T = TypeVar("T")

_LARGEST_SINGLE = struct.unpack("<f", b"\xff\xff\x7f\x7f")[0]
_LARGEST_TOKEN = 2**32
_CANONICAL = frozenset({"model", "input", "encoding_format", "dimensions", "user"})

_encode = msgspec.json.encode
_Token = Annotated[int, msgspec.Meta(ge=0, lt=_LARGEST_TOKEN)]
_decode_input = msgspec.json.Decoder(str | list[str | _Token | list[_Token]]).decode


class EmbeddingRequest(msgspec.Struct, frozen=True):
    """``inputs`` are texts, or texts in tokens. ``extras`` are the client's other fields as JSON text."""

    model: str
    inputs: tuple[str | Tokens, ...]
    encoding: Encoding = "float"
    dimensions: int | None = None
    end_user: str | None = None
    extras: Mapping[str, str] = {}


class Embeddings(msgspec.Struct, frozen=True):
    """A vector for each input, in their order. ``usage`` is None where the host counts nothing."""

    vectors: tuple[Vector, ...]
    usage: Usage | None = None


class RenderedEmbedding(msgspec.Struct, frozen=True):
    body: bytes
    losses: tuple[Loss, ...] = ()


@dataclass(frozen=True, slots=True)
class EmbeddingShape:
    """How hosts of one kind are asked, by the host's own name of the model, and what ``provider`` answers.

    ``render`` raises InvalidRequest, ``read`` UpstreamUnreadable.
    """

    render: Callable[[EmbeddingRequest, str], RenderedEmbedding]
    read: Callable[[bytes, str], Embeddings]

    def parse(self, body: bytes, asked: EmbeddingRequest, provider: str) -> Embeddings:
        """Raises UpstreamUnreadable, also where there is not one vector for each input."""
        embeddings = self.read(body, provider)
        if len(embeddings.vectors) != len(asked.inputs):
            message = f"{provider} answered {len(embeddings.vectors)} embeddings for {len(asked.inputs)} inputs"
            raise UpstreamUnreadable(message, provider=provider)
        return embeddings


def read_envelope(body: bytes) -> Envelope:
    """What there is to admit: nothing comes out that is billed. Raises InvalidRequest."""
    fields = read_fields(body)
    return Envelope(
        body=body,
        fields=fields,
        model=read_model(fields),
        stream=False,
        max_output_tokens=0,
        customer=as_label(read_loosely(fields, "user")),
        session_id=None,
    )


def parse_request(envelope: Envelope) -> EmbeddingRequest:
    """Raises InvalidRequest naming the field that cannot be read."""
    fields = envelope.fields
    return EmbeddingRequest(
        model=envelope.model,
        inputs=_parse_inputs(fields),
        encoding=_parse_encoding(fields),
        dimensions=read_count(fields, "dimensions"),
        end_user=envelope.customer,
        extras={
            name: bytes(raw).decode()
            for name, raw in fields.items()
            if name not in _CANONICAL and bytes(raw) != b"null"
        },
    )


def rewrite(envelope: Envelope, upstream_model: str) -> bytes:
    """The body for a host of this shape: ``model`` replaced, all other bytes verbatim."""
    return splice(envelope.body, envelope.fields, {"model": _encode(upstream_model)})


def scan_response(body: bytes) -> UsageReport:
    """Usage of an answer that passes in this shape; an unreadable one reports nothing."""
    try:
        answer = _decode_counted(body)
    except UNREADABLE:
        return UsageReport(usage=None, final=False, output_bytes=0)
    prompt = count_of(answer.usage, "prompt_tokens")
    usage = None if prompt is None else Usage(input=prompt)
    return UsageReport(usage=usage, final=usage is not None, output_bytes=0)


def render_response(embeddings: Embeddings, asked: EmbeddingRequest, counted_tokens: int) -> bytes:
    """``counted_tokens`` stand in where the host has counted none. OpenAI's client asks for base64 by itself."""
    render = _as_base64 if asked.encoding == "base64" else _as_numbers
    tokens = counted_tokens if embeddings.usage is None else embeddings.usage.prompt_tokens
    return _encode(
        {
            "object": "list",
            "data": [
                {"object": "embedding", "index": number, "embedding": render(vector)}
                for number, vector in enumerate(embeddings.vectors)
            ],
            "model": asked.model,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
    )


def render_ollama(asked: EmbeddingRequest, upstream_model: str) -> RenderedEmbedding:
    losses = Losses()
    body: dict[str, Any] = {"model": upstream_model, "input": _texts_of(asked, "Ollama")}
    if asked.dimensions is not None:
        body["dimensions"] = asked.dimensions
    _claim(asked, body, {name: name for name in ("truncate", "keep_alive", "options")}, losses)
    return RenderedEmbedding(_encode(body), losses.gathered())


def read_ollama(body: bytes, provider: str) -> Embeddings:
    answer = _read(_decode_ollama, body, provider)
    tokens = count_of({"count": answer.prompt_eval_count}, "count")
    return Embeddings(tuple(answer.embeddings), None if tokens is None else Usage(input=tokens))


def render_gemini(asked: EmbeddingRequest, upstream_model: str) -> RenderedEmbedding:
    losses = Losses()
    shared: dict[str, Any] = {"model": f"models/{upstream_model.removeprefix('models/')}"}
    if asked.dimensions is not None:
        shared["outputDimensionality"] = asked.dimensions
    _claim(asked, shared, {"task_type": "taskType", "taskType": "taskType", "title": "title"}, losses)
    texts = _texts_of(asked, "Gemini")
    requests = [{**shared, "content": {"parts": [{"text": text}]}} for text in texts]
    return RenderedEmbedding(_encode({"requests": requests}), losses.gathered())


def read_gemini(body: bytes, provider: str) -> Embeddings:
    answer = _read(_decode_gemini, body, provider)
    tokens = count_of(answer.usageMetadata, "promptTokenCount")
    vectors = tuple(embedding.values for embedding in answer.embeddings)
    return Embeddings(vectors, None if tokens is None else Usage(input=tokens))


def render_cohere(asked: EmbeddingRequest, upstream_model: str) -> RenderedEmbedding:
    losses = Losses()
    body: dict[str, Any] = {
        "model": upstream_model,
        "texts": _texts_of(asked, "Cohere"),
        "input_type": "search_document",  # it must be said, and texts are embedded to be found
        "embedding_types": ["float"],
    }
    if asked.dimensions is not None:
        body["output_dimension"] = asked.dimensions
    _claim(asked, body, {name: name for name in ("input_type", "truncate", "max_tokens")}, losses)
    return RenderedEmbedding(_encode(body), losses.gathered())


def read_cohere(body: bytes, provider: str) -> Embeddings:
    answer = _read(_decode_cohere, body, provider)
    billed = answer.meta.get("billed_units") if isinstance(answer.meta, dict) else None
    tokens = count_of(billed, "input_tokens")
    return Embeddings(tuple(answer.embeddings.floats), None if tokens is None else Usage(input=tokens))


SHAPES: Mapping[str, EmbeddingShape] = {
    "ollama": EmbeddingShape(render_ollama, read_ollama),
    "gemini": EmbeddingShape(render_gemini, read_gemini),
    "cohere": EmbeddingShape(render_cohere, read_cohere),
}
"""Those that are not OpenAI's, by name."""


class _Counted(msgspec.Struct, gc=False):
    usage: Any = None


class _Ollama(msgspec.Struct, gc=False):
    embeddings: list[Vector]
    prompt_eval_count: Any = None


class _GeminiValues(msgspec.Struct, gc=False):
    values: Vector = msgspec.field(default_factory=list)


class _Gemini(msgspec.Struct, gc=False):
    embeddings: list[_GeminiValues]
    usageMetadata: Any = None  # noqa: N815  the wire's own name


class _CohereFloats(msgspec.Struct, gc=False):
    floats: list[Vector] = msgspec.field(name="float")


class _Cohere(msgspec.Struct, gc=False):
    embeddings: _CohereFloats
    meta: Any = None


_decode_counted = msgspec.json.Decoder(_Counted).decode
_decode_ollama = msgspec.json.Decoder(_Ollama).decode
_decode_gemini = msgspec.json.Decoder(_Gemini).decode
_decode_cohere = msgspec.json.Decoder(_Cohere).decode


def _read(decode: Callable[[bytes], T], body: bytes, provider: str) -> T:
    try:
        return decode(body)
    except UNREADABLE as error:
        message = f"{provider} answered with what are no embeddings of its API"
        raise UpstreamUnreadable(message, provider=provider) from error


def _parse_inputs(fields: Mapping[str, msgspec.Raw]) -> tuple[str | Tokens, ...]:
    raw = fields.get("input")
    if raw is None:
        raise InvalidRequest('"input" is missing; send a text or a list of texts', param="input")
    try:
        written = _decode_input(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        message = '"input" must be a text, a list of texts, or tokens as whole numbers'
        raise InvalidRequest(message, param="input") from error
    if isinstance(written, str):
        return (written,)
    if written and all(isinstance(item, int) for item in written):
        return (tuple(item for item in written if isinstance(item, int)),)
    inputs = tuple(tuple(item) if isinstance(item, list) else item for item in written)
    texts = [item for item in inputs if not isinstance(item, int)]
    if not texts or len(texts) < len(inputs) or len({type(item) for item in texts}) > 1:
        raise InvalidRequest('"input" must hold texts, or tokens, and at least one', param="input")
    return tuple(texts)


def _parse_encoding(fields: Mapping[str, msgspec.Raw]) -> Encoding:
    written = read_loosely(fields, "encoding_format")
    if written is None or written == "float":
        return "float"
    if written == "base64":
        return "base64"
    raise InvalidRequest('"encoding_format" must be float or base64', param="encoding_format")


def _texts_of(asked: EmbeddingRequest, target: str) -> list[str]:
    texts = [text for text in asked.inputs if isinstance(text, str)]
    if len(texts) < len(asked.inputs):
        raise refusal("an input in tokens", target, "send its text", param="input")
    return texts


def _claim(asked: EmbeddingRequest, body: dict[str, Any], names: Mapping[str, str], losses: Losses) -> None:
    """The host's own fields among the client's, by the client's names; the others cannot be said."""
    if asked.end_user is not None:
        losses.drop("user")
    for name, written in asked.extras.items():
        if name in names:
            body[names[name]] = msgspec.Raw(written.encode())
        else:
            losses.drop(name)


def _as_numbers(vector: Vector) -> Vector:
    return vector


def _as_base64(vector: Vector) -> str:
    """Single-precision floats, the lowest byte first."""
    form = f"<{len(vector)}f"
    try:
        packed = struct.pack(form, *vector)
    except OverflowError:
        packed = struct.pack(form, *(max(-_LARGEST_SINGLE, min(_LARGEST_SINGLE, value)) for value in vector))
    return base64.b64encode(packed).decode("ascii")
