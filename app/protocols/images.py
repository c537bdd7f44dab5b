"""Generated images: one shape for all clients, OpenAI's; and hosts that draw within a chat completion.

Sources: the public API references, OpenAI's "Create image" and OpenRouter's "Image generation". Errors of clients and
hosts are those of ``openai_errors``.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from app.base.errors import InvalidRequest, UpstreamUnreadable
from app.base.money import NanoUSD, parse_usd
from app.domain.usage import Usage
from app.protocols.codec import Envelope, UsageReport
from app.protocols.envelope import as_label, read_count, read_fields, read_flag, read_loosely, read_model, splice
from app.protocols.losses import Loss, Losses
from app.protocols.scanning import UNREADABLE, count_of

_LARGEST_N = 128
_RATIOS = {
    "1024x1024": "1:1",
    "1536x1024": "3:2",
    "1024x1536": "2:3",
    "1792x1024": "16:9",
    "1024x1792": "9:16",
}
_SIZES = {"low": "1K", "standard": "1K", "medium": "2K", "high": "4K", "hd": "4K"}
_UNSAID = frozenset({None, "auto"})
_CANONICAL = frozenset({"model", "prompt", "n", "size", "quality", "response_format", "user", "stream", "image_config"})
_CHAT_FIELDS = frozenset({"seed", "provider", "models", "route", "transforms", "temperature"})
"""What OpenRouter knows at the top level and a client of images may send along."""

_DATA_URL = re.compile(r"data:[^,]*;base64,", re.IGNORECASE)
_DECIMAL = re.compile(rb'"?([0-9.eE+-]{1,64})"?\Z')

_encode = msgspec.json.encode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class ImageRequest(msgspec.Struct, frozen=True):
    """``image_config`` is OpenRouter's own object, by member; ``extras`` the client's other fields as JSON text."""

    model: str
    prompt: str
    n: int | None = None
    size: str | None = None
    quality: str | None = None
    response_format: str | None = None
    end_user: str | None = None
    image_config: Mapping[str, msgspec.Raw] = {}
    extras: Mapping[str, str] = {}


class Picture(msgspec.Struct, frozen=True, omit_defaults=True):
    """Either its bytes in base64 or an address."""

    b64_json: str | None = None
    url: str | None = None


class Pictures(msgspec.Struct, frozen=True):
    """``cost`` where the host has told its price."""

    pictures: tuple[Picture, ...]
    usage: Usage | None = None
    cost: NanoUSD | None = None


class RenderedImage(msgspec.Struct, frozen=True):
    body: bytes
    losses: tuple[Loss, ...] = ()


def read_envelope(body: bytes) -> Envelope:
    """Raises InvalidRequest, also for a stream: its pictures in pieces are not served."""
    fields = read_fields(body)
    if read_flag(fields, "stream"):
        raise InvalidRequest('images are not streamed here; leave out "stream"', param="stream")
    if (read_count(fields, "n") or 1) > _LARGEST_N:
        raise InvalidRequest(f'"n" must be at most {_LARGEST_N}', param="n")
    return Envelope(
        body=body,
        fields=fields,
        model=read_model(fields),
        stream=False,
        max_output_tokens=None,
        customer=as_label(read_loosely(fields, "user")),
        session_id=None,
    )


def count_of_pictures(envelope: Envelope) -> int:
    """How many are asked for."""
    return read_count(envelope.fields, "n") or 1


def parse_request(envelope: Envelope) -> ImageRequest:
    """Raises InvalidRequest naming the field that cannot be read."""
    fields = envelope.fields
    prompt = _read_text(fields, "prompt")
    if not prompt:
        raise InvalidRequest('"prompt" is missing; say what to draw', param="prompt")
    return ImageRequest(
        model=envelope.model,
        prompt=prompt,
        n=read_count(fields, "n"),
        size=_read_text(fields, "size"),
        quality=_read_text(fields, "quality"),
        response_format=_read_text(fields, "response_format"),
        end_user=envelope.customer,
        image_config=_read_config(fields),
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
    """Usage of an answer that passes in this shape: tokens where the model counts them, else its pictures.

    An unreadable answer reports nothing.
    """
    try:
        answer = _decode_answer(body)
    except UNREADABLE:
        return UsageReport(usage=None, final=False, output_bytes=0)
    usage = _token_usage(answer.usage, "input_tokens", "output_tokens")
    if usage is None and isinstance(answer.data, list) and answer.data:
        usage = Usage(images=len(answer.data))
    cost = _cost_of(answer.usage)
    return UsageReport(usage=usage, final=usage is not None, output_bytes=0, cost=cost)


def render_openrouter(asked: ImageRequest, upstream_model: str) -> RenderedImage:
    """A chat completion whose answer may hold pictures."""
    losses = Losses()
    body: dict[str, Any] = {
        "model": upstream_model,
        "messages": [{"role": "user", "content": asked.prompt}],
        "modalities": ["image", "text"],
    }
    config = _image_config(asked, losses)
    if config:
        body["image_config"] = config
    if asked.n is not None:
        body["n"] = asked.n
    if asked.end_user is not None:
        body["user"] = asked.end_user
    if asked.response_format == "url":
        losses.drop("response_format")
    for name, written in asked.extras.items():
        if name in _CHAT_FIELDS:
            body[name] = msgspec.Raw(written.encode())
        else:
            losses.drop(name)
    return RenderedImage(_encode(body), losses.gathered())


def parse_openrouter(body: bytes, provider: str) -> Pictures:
    """Raises UpstreamUnreadable, also for an answer without a picture, with what the model said instead."""
    try:
        completion = _decode_completion(body)
    except UNREADABLE as error:
        message = f"{provider} answered with what is no image of its API"
        raise UpstreamUnreadable(message, provider=provider) from error
    messages = [choice.message for choice in completion.choices]
    urls = [image.image_url.url for message in messages for image in message.images or ()]
    if not urls:
        said = next((message.content for message in messages if isinstance(message.content, str)), "nothing")
        message = f"{provider} drew no image; the model said: {said[:500]}"
        raise UpstreamUnreadable(message, provider=provider)
    usage = _token_usage(completion.usage, "prompt_tokens", "completion_tokens")
    return Pictures(tuple(_picture(url) for url in urls), usage, _cost_of(completion.usage))


def render_response(pictures: Pictures, created_unix: int) -> bytes:
    answer: dict[str, Any] = {"created": created_unix, "data": pictures.pictures}
    usage = pictures.usage
    if usage is not None:
        answer["usage"] = {
            "input_tokens": usage.prompt_tokens,
            "output_tokens": usage.output,
            "total_tokens": usage.prompt_tokens + usage.output,
            # OpenAI's client expects the parts; all that was asked was text.
            "input_tokens_details": {"text_tokens": usage.prompt_tokens, "image_tokens": 0},
        }
    return _encode(answer)


class _Answer(msgspec.Struct, gc=False):
    data: Any = None
    usage: msgspec.Raw = msgspec.Raw(b"null")


class _Url(msgspec.Struct, gc=False):
    url: str


class _Image(msgspec.Struct, gc=False):
    image_url: _Url


class _Message(msgspec.Struct, gc=False):
    content: Any = None
    images: list[_Image] | None = None


class _Choice(msgspec.Struct, gc=False):
    message: _Message


class _Completion(msgspec.Struct, gc=False):
    choices: list[_Choice]
    usage: msgspec.Raw = msgspec.Raw(b"null")


_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_completion = msgspec.json.Decoder(_Completion).decode


def _read_text(fields: Mapping[str, msgspec.Raw], name: str) -> str | None:
    value = read_loosely(fields, name)
    if value is None or isinstance(value, str):
        return value
    raise InvalidRequest(f'"{name}" must be a text', param=name)


def _read_config(fields: Mapping[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
    raw = fields.get("image_config")
    if raw is None or bytes(raw) == b"null":
        return {}
    try:
        return _decode_members(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidRequest('"image_config" must be an object', param="image_config") from error


def _image_config(asked: ImageRequest, losses: Losses) -> dict[str, Any]:
    """What the client says in OpenRouter's own words stands before what it says in OpenAI's."""
    config: dict[str, Any] = {}
    for name, member, value, table in (
        ("size", "aspect_ratio", asked.size, _RATIOS),
        ("quality", "image_size", asked.quality, _SIZES),
    ):
        if value is not None and value in table:
            config[member] = table[value]
        elif value not in _UNSAID and member not in asked.image_config:
            losses.drop(name)
    return {**config, **asked.image_config}


def _picture(url: str) -> Picture:
    head = _DATA_URL.match(url)
    return Picture(url=url) if head is None else Picture(b64_json=url[head.end() :])


def _token_usage(usage: msgspec.Raw, input_name: str, output_name: str) -> Usage | None:
    try:
        counts = msgspec.json.decode(usage)
    except UNREADABLE:
        return None
    given, made = count_of(counts, input_name), count_of(counts, output_name)
    if not isinstance(counts, dict) or (given is None and made is None):
        return None
    details = counts.get("prompt_tokens_details") or counts.get("input_tokens_details")
    cached = min(given or 0, count_of(details, "cached_tokens") or 0)
    return Usage(input=(given or 0) - cached, cache_read=cached, output=made or 0)


def _cost_of(usage: msgspec.Raw) -> NanoUSD | None:
    """OpenRouter's price, read from its digits: it was never a float here. None where there is none."""
    try:
        members = _decode_members(usage)
    except UNREADABLE:
        return None
    written = _DECIMAL.match(bytes(members.get("cost", msgspec.Raw(b"null"))))
    if written is None:
        return None
    try:
        cost = parse_usd(written[1].decode("ascii"))
    except (ValueError, ArithmeticError):  # the latter for exponents beyond all decimals
        return None
    return cost if cost >= 0 else None
