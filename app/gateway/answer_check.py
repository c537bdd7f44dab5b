"""What comes under a success and is no answer: such an attempt has failed, and none of it goes to a client as one."""

import msgspec

from app.base.errors import UpstreamUnreadable
from app.protocols.codec import Codec
from app.protocols.openai_rejections import failure_of
from app.protocols.scanning import UNREADABLE

_decode_top_level = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_ANSWERS = frozenset({"choices", "content", "output", "candidates", "message", "response", "data"})
"""One of these stands in every answer, whatever the protocol."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_JSON = (b"{", b"[")
_STREAMS = (*_JSON, b"data:", b"event:", b"id:", b"retry:", b":")
_EXCERPT_BYTES = 200


def check_answer(body: bytes, codec: Codec, provider: str, *, stream: bool = False) -> None:
    """For an answer in which no usage was found, that would be passed on as it is. ``stream``: one may have been sent.

    Raises UpstreamUnreadable for a page or nothing at all, and UpstreamRejected for an error that stands in a success.
    """
    if not body.removeprefix(_BYTE_ORDER_MARK).lstrip().startswith(_STREAMS if stream else _JSON):
        raise no_answer(body, provider)
    try:
        fields = _decode_top_level(body)
    except UNREADABLE:
        return
    if "error" not in fields or fields["error"] == b"null" or not _ANSWERS.isdisjoint(fields):
        return
    status, _ = failure_of(msgspec.json.decode(fields["error"]))
    raise codec.parse_error(status, body, provider)


def no_answer(body: bytes, provider: str) -> UpstreamUnreadable:
    text = body[:_EXCERPT_BYTES].decode("utf-8", "replace").strip()
    said = f'"{text}"' if text else "nothing at all"
    return UpstreamUnreadable(
        f'provider "{provider}" answered with what is no answer of its API: {said}', provider=provider
    )
