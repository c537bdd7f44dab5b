"""Fingerprints of the settings, by which processes tell where theirs differ, and nobody what they are."""

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from app.base.secret import Secret
from app.settings.settings import Settings

_OF_THE_MACHINE = frozenset({"host", "port", "home", "config_path", "workers", "notices"})
"""What may well be another for each process."""
_WHERE_IT_STANDS = "place"


def fingerprints_of(settings: Settings) -> dict[str, str]:
    """By the names of the settings; under ``secret``, so that nobody finds out a value by trying some."""
    secret = "" if settings.secret is None else settings.secret.reveal()
    key = hashlib.sha256(secret.encode()).digest()
    return {
        field.name: hashlib.blake2b(_text(getattr(settings, field.name)).encode(), key=key, digest_size=6).hexdigest()
        for field in fields(Settings)
        if field.name not in _OF_THE_MACHINE
    }


def _text(value: Any) -> str:  # noqa: ANN401  any value of a setting
    """The same for the same value in every process, the secrets in it too."""
    if isinstance(value, Secret):
        return repr(value.reveal())
    if is_dataclass(value):
        inner = (
            f"{one.name}={_text(getattr(value, one.name))}" for one in fields(value) if one.name != _WHERE_IT_STANDS
        )
        return f"({','.join(inner)})"
    match value:
        case Mapping():
            return f"{{{','.join(sorted(f'{_text(name)}:{_text(one)}' for name, one in value.items()))}}}"
        case set() | frozenset():
            return f"{{{','.join(sorted(_text(one) for one in value))}}}"
        case tuple() | list():
            return f"[{','.join(_text(one) for one in value)}]"
        case _:
            return repr(value)
