"""The models that a call itself names to serve instead of the one it asks for: LiteLLM's and OpenRouter's lists."""

from typing import Any

import msgspec
from msgspec import structs

from app.base.errors import InvalidRequest
from app.protocols.codec import Envelope
from app.protocols.envelope import splice

_FIELDS = ("fallbacks", "models")
_MOST = 10


def take_fallbacks(envelope: Envelope) -> tuple[Envelope, tuple[str, ...]]:
    """The names, and the envelope without them, as no host is to see them. Raises InvalidRequest."""
    found = [name for name in _FIELDS if name in envelope.fields]
    if not found:
        return envelope, ()
    names = [model for name in found for model in _read(name, msgspec.json.decode(envelope.fields[name]))]
    fields = {name: value for name, value in envelope.fields.items() if name not in found}
    body = splice(envelope.body, envelope.fields, dict.fromkeys(found))
    return structs.replace(envelope, body=body, fields=fields), tuple(dict.fromkeys(names))


def _read(field: str, written: Any) -> list[str]:  # noqa: ANN401  any JSON
    if written is None:
        return []
    entries = written if isinstance(written, list) else [written]
    names: list[Any] = [entry.get("model") if isinstance(entry, dict) else entry for entry in entries]
    if len(names) > _MOST or not all(isinstance(name, str) and name for name in names):
        raise InvalidRequest(f'"{field}" must be a list of at most {_MOST} names of models', param=field)
    return names
