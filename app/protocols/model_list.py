"""The model list in the shapes of Anthropic, OpenAI and Google: all of it, and one model."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import msgspec

from app.base.errors import InvalidRequest
from app.domain.catalog import Model
from app.domain.picker import ASSUMED_WINDOW, picker_name

LARGEST_PAGE = 1000
_NO_OWNER = "keyhouse"


@dataclass(frozen=True, slots=True)
class _Page:
    limit: int
    after_id: str | None
    before_id: str | None


def render_anthropic_list(models: Sequence[Model], query_string: bytes = b"") -> bytes:
    """One page, chosen by ``limit``, ``after_id`` and ``before_id`` as in Anthropic's list; without a limit 1000.

    Behind all models by their names stand those of other makers once more, by the names that Claude Code's picker
    keeps. Anthropic's own default of 20 would hide models from a client that does not turn pages. Raises
    InvalidRequest for a query that cannot be.
    """
    page = _read_page(query_string)
    entries = [(model.name, model) for model in models]
    entries += [(name, model) for model in models if (name := picker_name(model)) is not None]
    names = [name for name, _ in entries]
    if page.before_id is not None:
        end = _place(names, page.before_id, "before_id")
        start = max(0, end - page.limit)
        has_more = start > 0
    else:
        start = 0 if page.after_id is None else _place(names, page.after_id, "after_id") + 1
        end = min(len(names), start + page.limit)
        has_more = end < len(names)
    chosen = entries[start:end]
    return msgspec.json.encode(
        {
            "data": [_anthropic_entry(model, name) for name, model in chosen],
            "has_more": has_more,
            "first_id": chosen[0][0] if chosen else None,
            "last_id": chosen[-1][0] if chosen else None,
        }
    )


def render_anthropic(model: Model, asked: str = "") -> bytes:
    """``asked`` is the name that it has in the answer where it is one of the list's."""
    return msgspec.json.encode(_anthropic_entry(model, asked if asked == picker_name(model) else model.name))


def render_gemini_list(models: Sequence[Model]) -> bytes:
    """All models on one page."""
    return msgspec.json.encode({"models": [_gemini_entry(model) for model in models]})


def render_gemini(model: Model) -> bytes:
    return msgspec.json.encode(_gemini_entry(model))


def render_openai_list(models: Sequence[Model]) -> bytes:
    """All models: OpenAI's list has no pages."""
    return msgspec.json.encode({"object": "list", "data": [_openai_entry(model) for model in models]})


def render_openai(model: Model) -> bytes:
    return msgspec.json.encode(_openai_entry(model))


def _anthropic_entry(model: Model, name: str) -> dict[str, Any]:
    """Never a null: one ``display_name: null`` makes Claude Code throw the whole list away."""
    created_at = datetime.fromtimestamp(model.created_at_unix, UTC)
    return {
        "type": "model",
        "id": name,
        "display_name": " ".join(model.display_name.split()) or model.name,
        "created_at": created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "description": _description(model),
    }


def _description(model: Model) -> str:
    """One line, which Claude Code shows beside the name: the operator's own words, else whose model it is.

    The size of a window that is smaller than Claude Code takes it to be is told in any case.
    """
    written = " ".join(model.description.split())
    said = [written or (model.deployments[0].provider if model.deployments else _NO_OWNER)]
    window = model.max_input_tokens
    if window is not None and (not written or window < ASSUMED_WINDOW):
        size = f"{window // 1_000_000}M" if window >= 1_000_000 else f"{window // 1000}K"
        said.append(f"{size} context")
    return " · ".join(said)


def _gemini_entry(model: Model) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": f"models/{model.name}",
        "displayName": model.display_name or model.name,
        "description": model.description,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
    }
    limits = {"inputTokenLimit": model.max_input_tokens, "outputTokenLimit": model.max_output_tokens}
    return entry | {name: limit for name, limit in limits.items() if limit is not None}


def _openai_entry(model: Model) -> dict[str, Any]:
    owner = model.deployments[0].provider if model.deployments else _NO_OWNER
    return {"id": model.name, "object": "model", "created": model.created_at_unix, "owned_by": owner}


def _read_page(query_string: bytes) -> _Page:
    query = {name: values[-1] for name, values in parse_qs(query_string.decode("latin-1")).items()}
    limit = query.get("limit", str(LARGEST_PAGE))
    # The length is checked first: Python refuses to read a number of thousands of digits.
    if not (limit.isascii() and limit.isdigit() and len(limit) <= 4 and 1 <= int(limit) <= LARGEST_PAGE):
        raise InvalidRequest(f'"limit" is "{limit[:20]}"; give a whole number from 1 to {LARGEST_PAGE}', param="limit")
    after_id, before_id = query.get("after_id"), query.get("before_id")
    if after_id is not None and before_id is not None:
        raise InvalidRequest('"after_id" and "before_id" exclude each other; send one of them', param="before_id")
    return _Page(int(limit), after_id, before_id)


def _place(names: list[str], cursor: str, param: str) -> int:
    try:
        return names.index(cursor)
    except ValueError as error:
        raise InvalidRequest(
            f'"{param}" names no model in this list: "{cursor[:200]}"; use first_id or last_id of another page',
            param=param,
        ) from error
