"""What is said about the response cache at its levels, and by what a stored answer is found again."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Literal

import msgspec

from app.base.money import NanoUSD

CacheMode = Literal["off", "opt_in", "on"]
LONGEST_TTL_S = 30 * 86_400
LONGEST_NAMESPACE = 128
CALL_TYPES: Mapping[str, frozenset[str]] = {
    "anthropic_messages": frozenset({"anthropic_messages", "aanthropic_messages"}),
    "openai_chat": frozenset({"completion", "acompletion"}),
    "openai_completions": frozenset({"text_completion", "atext_completion"}),
    "openai_responses": frozenset({"responses", "aresponses"}),
    "gemini": frozenset({"generate_content", "agenerate_content"}),
    "ollama": frozenset({"ollama"}),
    "embeddings": frozenset({"embedding", "aembedding"}),
}
"""What LiteLLM's ``supported_call_types`` calls each protocol; ollama is ours."""
WISHES = ("use-cache", "no-cache", "no-store", "ttl", "s-maxage", "namespace", "tools")


@dataclass(frozen=True, slots=True)
class CacheWish:
    """What one level says, by LiteLLM's names; None says nothing.

    ``no_cache`` asks the provider though an answer is stored, ``no_store`` stores none. ``ttl_s`` is how long an answer
    is kept, ``most_age_s`` how old one may be. ``tools``: requests with tools are cached too.
    """

    use: bool | None = None
    no_cache: bool | None = None
    no_store: bool | None = None
    ttl_s: int | None = None
    most_age_s: int | None = None
    namespace: str | None = None
    tools: bool | None = None

    def overridden(self, nearer: "CacheWish") -> "CacheWish":
        """This, with each thing that the nearer level says as that says it."""
        said = {one.name: getattr(nearer, one.name) for one in fields(self)}
        mine = {one.name: getattr(self, one.name) for one in fields(self)}
        return CacheWish(**{name: mine[name] if value is None else value for name, value in said.items()})


class StoredAnswer(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """An answer as a client got it. ``cost_nanousd`` is what it cost when the provider gave it."""

    body: bytes
    content_type: bytes
    stored_at_unix: int
    cost_nanousd: NanoUSD
    finish_reason: str | None


def parse_wish(value: object) -> CacheWish:
    """Of a JSON value: true, false, or LiteLLM's ``{"no-cache": true, "ttl": 60}``.

    Who names a ``ttl`` wants the cache. Raises ValueError that says what is wrong.
    """
    if isinstance(value, bool):
        return CacheWish(use=value)
    if not isinstance(value, Mapping):
        raise ValueError('it must be true, false, or an object such as {"ttl": 600}')  # noqa: TRY004
    for name in value:
        if name not in WISHES:
            raise ValueError(f'"{str(name)[:64]}" is not known; there are {", ".join(WISHES)}')
    ttl_s = _seconds(value, "ttl", least=1)
    use = _flag(value, "use-cache")
    return CacheWish(
        use=True if use is None and ttl_s is not None else use,
        no_cache=_flag(value, "no-cache"),
        no_store=_flag(value, "no-store"),
        ttl_s=ttl_s,
        most_age_s=_seconds(value, "s-maxage", least=0),
        namespace=_namespace(value),
        tools=_flag(value, "tools"),
    )


def parse_wish_header(text: str) -> CacheWish:
    """Of the header ``x-keyhouse-cache``: ``true``, ``false``, or ``use-cache, ttl=600``. Raises ValueError."""
    if text in {"true", "false"}:
        return CacheWish(use=text == "true")
    said: dict[str, object] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        name, equals, value = part.partition("=")
        said[name] = True if not equals else int(value) if value.isascii() and value.isdecimal() else value
    return parse_wish(said)


def digest_of(parts: Iterable[bytes | memoryview]) -> bytes:
    """Differs for any two sequences that differ: each part is preceded by its length."""
    hasher = hashlib.sha256()
    for part in parts:
        size_bytes = part.nbytes if isinstance(part, memoryview) else len(part)
        hasher.update(size_bytes.to_bytes(8, "big"))
        hasher.update(part)
    return hasher.digest()


def _flag(said: Mapping[str, object], name: str) -> bool | None:
    value = said.get(name)
    if value is None or isinstance(value, bool):
        return value
    raise ValueError(f'"{name}" must be true or false')


def _seconds(said: Mapping[str, object], name: str, least: int) -> int | None:
    value = said.get(name)
    if value is None:
        return None
    if type(value) is not int or not least <= value <= LONGEST_TTL_S:
        raise ValueError(f'"{name}" must be a whole number of seconds from {least} to {LONGEST_TTL_S}')
    return value


def _namespace(said: Mapping[str, object]) -> str | None:
    value = said.get("namespace")
    if value is None:
        return None
    if not isinstance(value, str) or not value or len(value) > LONGEST_NAMESPACE:
        raise ValueError(f'"namespace" must be a text of 1 to {LONGEST_NAMESPACE} characters')
    return value
