"""The names under which a list of prices may know a model, of what a host calls it."""

import re
from collections.abc import Callable, Iterator, Mapping

_BEDROCK_VERSION = re.compile(r"(-v\d+)?(:\d+)?(:\d+k)?$", re.ASCII)
_BEDROCK_PLACE = re.compile(
    r"(?P<place>global|regional|us|us-gov|eu|apac|au|jp|ca|in|sa|me|af)\.(?P<model>.+)", re.ASCII
)


def spellings(price_list: str, model: str) -> Iterator[str]:
    """The names to look for in ``price_list`` and in those behind it, the truest first; all in lower case."""
    return _SPELLINGS.get(price_list, _plain)(model.lower())


def bedrock_key(model: str) -> str:
    """``us.anthropic.claude-sonnet-4-5-20250929`` of what Bedrock ends in ``-v1:0``, and of its ARN."""
    return _BEDROCK_VERSION.sub("", model.rpartition("/")[2])


def _plain(model: str) -> Iterator[str]:
    yield model


def _bedrock(model: str) -> Iterator[str]:
    """The global profiles have prices of their own; all other places, and a region's own models, share one."""
    key = bedrock_key(model)
    placed = _BEDROCK_PLACE.fullmatch(key)
    place, bare = (placed["place"], placed["model"]) if placed is not None else ("regional", key)
    first, second = ("global", "regional") if place == "global" else ("regional", "global")
    yield f"{first}.{bare}"
    yield bare
    yield f"{second}.{bare}"
    yield bare.removeprefix("anthropic.")


def _google(model: str) -> Iterator[str]:
    yield model
    if "/" in model:
        yield model.rpartition("/")[2]


def _openrouter(model: str) -> Iterator[str]:
    """What follows a colon chooses among the hosts of the same model (``:nitro``), where it has no price itself."""
    yield model
    if ":" in model:
        yield model.partition(":")[0]


def _azure(model: str) -> Iterator[str]:
    yield model
    if model.startswith("gpt-35"):
        yield model.replace("gpt-35", "gpt-3.5", 1)


_SPELLINGS: Mapping[str, Callable[[str], Iterator[str]]] = {
    "aws": _bedrock,
    "azure": _azure,
    "google": _google,
    "openrouter": _openrouter,
}
