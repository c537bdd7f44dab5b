"""``extra_headers``, a member of the body that clients of many SDKs send: which of them may go to a host."""

import re
from collections.abc import Iterable, Mapping

from app.protocols.codec import Header

_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,100}\Z")
_VALUE = re.compile(r"[\x20-\x7e]{0,4096}\Z")

# Credentials, what frames the request, and what is ours to say.
_REFUSED = frozenset(
    {
        "authorization", "x-api-key", "api-key", "x-goog-api-key", "x-litellm-api-key", "cookie", "set-cookie",
        "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "expect", "host",
        "content-length", "content-type", "content-encoding", "accept", "accept-encoding", "forwarded", "x-real-ip",
        "via",
    }
)  # fmt: skip
_REFUSED_PREFIXES = ("x-forwarded-", "x-keyhouse-", "x-litellm-", "proxy-")


def wanted_headers(extra: Mapping[str, object]) -> list[tuple[str, str]]:
    """Those that are headers at all and may be sent, with lower-case names."""
    found: dict[str, str] = {}
    for written, value in extra.items():
        name = written.lower()
        if name in _REFUSED or name.startswith(_REFUSED_PREFIXES) or not isinstance(value, str):
            continue
        if _NAME.match(name) and _VALUE.match(value):
            found[name] = value
    return list(found.items())


def with_betas(wanted: Iterable[tuple[str, str]], sent: Iterable[Header]) -> tuple[tuple[str, str], ...]:
    """``wanted`` with the betas of Anthropic's that the client asked for in a header of its own, each once."""
    kept = dict(wanted)
    named = [value.decode("latin-1") for name, value in sent if name.lower() == b"anthropic-beta"]
    named.append(kept.get("anthropic-beta", ""))
    betas = dict.fromkeys(beta.strip() for value in named for beta in value.split(",") if beta.strip())
    if betas:
        kept["anthropic-beta"] = ",".join(betas)
    return tuple(kept.items())
