"""What a call itself says of how it is routed: LiteLLM's and OpenRouter's fields, which no host is to see."""

from typing import Any

import msgspec
from msgspec import structs

from app.base.errors import InvalidRequest
from app.domain.access import Principal
from app.gateway.call import Call
from app.gateway.route import NO_WISHES, Wishes
from app.protocols.codec import Envelope
from app.protocols.envelope import splice

_FALLBACKS = ("fallbacks", "models")
_RETRIES, _NO_FALLBACKS = "num_retries", "disable_fallbacks"
_WISHES = frozenset((*_FALLBACKS, _RETRIES, _NO_FALLBACKS))
_RETRIES_HEADER = b"x-litellm-num-retries"
_MOST_FALLBACKS = 10
_MOST_RETRIES = 9


def take_wishes(call: Call, principal: Principal, envelope: Envelope, *, fallbacks: bool) -> tuple[Envelope, Wishes]:
    """They, and the envelope without them. ``fallbacks``: a call may name its own here. Raises InvalidRequest."""
    fields = envelope.fields
    names = _FALLBACKS if fallbacks else ()
    in_header = dict(call.headers).get(_RETRIES_HEADER)
    forbidden = principal.key.metadata.get(_NO_FALLBACKS) is True
    if in_header is None and not forbidden and _WISHES.isdisjoint(fields):
        return envelope, NO_WISHES  # nearly every call
    found = [name for name in (*names, _RETRIES, _NO_FALLBACKS) if name in fields]
    said = {name: msgspec.json.decode(fields[name]) for name in found}
    models = [model for name in names if name in said for model in _models(name, said[name])]
    retries = said.get(_RETRIES)
    if retries is None and in_header is not None:
        text = in_header.decode("latin-1").strip()
        retries = int(text) if text.isascii() and text.isdigit() else text
    wishes = Wishes(
        fallbacks=tuple(dict.fromkeys(models)),
        retries=_retries(retries),
        no_fallbacks=forbidden or _switch(said.get(_NO_FALLBACKS)),
    )
    if not found:
        return envelope, wishes
    body = splice(envelope.body, fields, dict.fromkeys(found))
    left = {name: value for name, value in fields.items() if name not in found}
    return structs.replace(envelope, body=body, fields=left), wishes


def _models(field: str, written: Any) -> list[str]:  # noqa: ANN401  any JSON
    if written is None:
        return []
    entries = written if isinstance(written, list) else [written]
    names: list[Any] = [entry.get("model") if isinstance(entry, dict) else entry for entry in entries]
    if len(names) > _MOST_FALLBACKS or not all(isinstance(name, str) and name for name in names):
        raise InvalidRequest(f'"{field}" must be a list of at most {_MOST_FALLBACKS} names of models', param=field)
    return names


def _retries(written: object) -> int | None:
    if written is None:
        return None
    if not isinstance(written, int) or isinstance(written, bool) or not 0 <= written <= _MOST_RETRIES:
        raise InvalidRequest(
            f'"{_RETRIES}" is {_shown(written)}, and must be a whole number from 0 to {_MOST_RETRIES}', param=_RETRIES
        )
    return written


def _switch(written: object) -> bool:
    if written is None or isinstance(written, bool):
        return bool(written)
    raise InvalidRequest(f'"{_NO_FALLBACKS}" is {_shown(written)}, and must be true or false', param=_NO_FALLBACKS)


def _shown(written: object) -> str:
    return msgspec.json.encode(written).decode()[:100]
