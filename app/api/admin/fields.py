"""Reading one field of an admin request: JSON of the right type and size, or a 422 that names the field."""

import difflib
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import Any, TypeVar, cast, get_args

import msgspec
from litestar import Request

from app.base.errors import InvalidRequest, Unprocessable
from app.base.money import NanoUSD, parse_usd
from app.domain.budgets import Duration, OnExceed, parse_duration
from app.domain.caching import parse_wish
from app.domain.step_down import parse_step_down

LONGEST_TEXT = 256
LONGEST_COST_CENTER = 64
MOST_ENTRIES = 1_000
MOST_METADATA_BYTES = 65_536
DEEPEST_METADATA = 32
LARGEST_COUNT = 2**53 - 1  # what Redis scripts and JSON readers count exactly
MOST_BODY_BYTES = 1_000_000

Body = Mapping[str, bytes]
Reader = Callable[[str, bytes], Any]
Readers = Mapping[str, tuple[str, Reader, Any]]
"""Name of the field: name of the term or column, how it is read, what null means."""
_T = TypeVar("_T")
_LEAST_LIKENESS = 0.6
"""Of 1: below it two names have little in common."""
_NEUTRAL = frozenset({b"null", b"[]", b"{}", b"false"})
_USUAL = dict.fromkeys(("rpm_limit_type", "tpm_limit_type"), b'"best_effort_throughput"')
"""What asks for no more than is done anyway."""


async def read_body(request: Request[Any, Any, Any]) -> Body:
    """The fields of the body as raw JSON; an empty body has none. Raises InvalidRequest."""
    raw = await request.body()
    if not raw.strip():
        return {}
    try:
        fields = msgspec.json.decode(raw.decode(), type=dict[str, msgspec.Raw])
    except msgspec.ValidationError as error:
        raise InvalidRequest("the body must be a JSON object, such as {}") from error
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"the body is not UTF-8 (byte {error.start}); send JSON in UTF-8") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise not_json(error, raw) from error
    return {name: bytes(value) for name, value in fields.items()}


def not_json(error: Exception, raw: bytes) -> InvalidRequest:
    """A body that no decoder takes; what it holds is not repeated, as it may be a secret."""
    if isinstance(error, RecursionError):
        return InvalidRequest("the body is nested too deeply; flatten it to a few hundred levels")
    said = str(error).removeprefix("JSON is malformed: ")
    if said == "Input data was truncated":
        said = f"it ends too early ({len(raw)} bytes were read)"
    return InvalidRequest(f"the body is not valid JSON: {said}; send an object, such as {{}}")


def check_names(body: Body, enforced: Collection[str], not_enforced: Collection[str]) -> None:
    """Raises Unprocessable for a field nobody knows, and for one known but not enforced that asks for something."""
    for name, raw in body.items():
        if name in enforced:
            continue
        if name not in not_enforced:
            hint = nearest_or_all(name, enforced, not_enforced)
            raise Unprocessable(f'"{name}" is not a field of this request; {hint}', param=name)
        if msgspec.json.encode(_decode(name, raw, object, "JSON")) not in {*_NEUTRAL, _USUAL.get(name)}:
            raise Unprocessable(
                f'"{name}" is not enforced yet, so it is refused rather than stored and ignored', param=name
            )


def nearest_or_all(name: str, known: Collection[str], also: Collection[str] = ()) -> str:
    """For the message about a name that nobody knows: the one that was probably meant; else all of ``known``."""
    near = difflib.get_close_matches(name, [*known, *also], n=1, cutoff=_LEAST_LIKENESS)
    return f'the nearest is "{near[0]}"' if near else f"known: {', '.join(sorted(known)) or 'none'}"


def read_terms(body: Body, readers: Readers) -> dict[str, Any]:
    """The terms that the body sets, by their names. Raises Unprocessable."""
    terms = {}
    for name, (term, reader, when_null) in readers.items():
        raw = body.get(name)
        if raw is None:
            continue
        value = when_null if is_null(raw) else reader(name, raw)
        if value is not msgspec.UNSET:
            terms[term] = value
    return terms


def is_null(raw: bytes) -> bool:
    return raw == b"null"


def read_text(name: str, raw: bytes) -> str:
    """1 to ``LONGEST_TEXT`` characters without NUL."""
    text = _decode(name, raw, str, "a text")
    _check_text(name, text)
    return text


def read_region(name: str, raw: bytes) -> str:
    """As ``region_name`` of deployments: whatever the case of its letters."""
    region = read_text(name, raw).strip().lower()
    _check_text(name, region)
    return region


def read_cost_center(name: str, raw: bytes) -> str:
    """1 to ``LONGEST_COST_CENTER`` characters that can be seen, and no comma, which parts several in a filter."""
    text = _decode(name, raw, str, 'a text such as "4711", or null for none').strip()
    if not 0 < len(text) <= LONGEST_COST_CENTER:
        raise Unprocessable(
            f'"{name}" is {_short(raw)}; give 1 to {LONGEST_COST_CENTER} characters, or null for none', param=name
        )
    for sign in text:
        if sign == "," or not sign.isprintable():
            what = "a comma" if sign == "," else f"the character U+{ord(sign):04X}, which cannot be seen"
            raise Unprocessable(f'"{name}" is {_short(raw)}; it holds {what}: leave it out', param=name)
    return text


def read_count(name: str, raw: bytes) -> int:
    count = _decode(name, raw, int, "a whole number")
    if not 0 <= count <= LARGEST_COUNT:
        raise Unprocessable(f'"{name}" is {_short(raw)}; give a whole number from 0 to {LARGEST_COUNT}', param=name)
    return count


def read_amount(name: str, raw: bytes) -> NanoUSD:
    """Dollars, read from the digits as they stand, never through a float. Less than a nano-dollar is none: LiteLLM's
    own examples give such budgets to have calls refused."""
    if raw[:1] == b'"':
        raise Unprocessable(f'"{name}" is {_short(raw)}; it must be a number of dollars, not a text', param=name)
    dollars = _decode(name, raw, Decimal, "a number of dollars")
    try:
        amount = parse_usd(dollars)
    except (ValueError, ArithmeticError) as error:
        raise Unprocessable(f'"{name}" is {_short(raw)}; give at most 9000000 dollars', param=name) from error
    if dollars < 0:
        raise Unprocessable(f'"{name}" is {_short(raw)}; it may not be negative', param=name)
    return amount


def read_on_exceed(name: str, raw: bytes) -> OnExceed:
    word = read_text(name, raw)
    if word not in get_args(OnExceed):
        raise Unprocessable(
            f'"{name}" is "{word[:80]}"; give "finish" or "cut", or null for the setting on_exceed', param=name
        )
    return cast(OnExceed, word)


def read_flag(name: str, raw: bytes) -> bool:
    return _decode(name, raw, bool, "true or false")


def read_texts(name: str, raw: bytes) -> tuple[str, ...]:
    texts = _decode(name, raw, list[str], "a list of texts")
    if len(texts) > MOST_ENTRIES:
        raise Unprocessable(f'"{name}" has {len(texts)} entries; at most {MOST_ENTRIES}', param=name)
    for text in texts:
        _check_text(name, text)
    return tuple(texts)


def read_text_list(name: str, raw: bytes) -> list[str]:
    return list(read_texts(name, raw))


def read_text_map(name: str, raw: bytes) -> dict[str, str]:
    entries = _decode(name, raw, dict[str, str], "an object of texts")
    if len(entries) > MOST_ENTRIES:
        raise Unprocessable(f'"{name}" has {len(entries)} entries; at most {MOST_ENTRIES}', param=name)
    for key, value in entries.items():
        _check_text(name, key)
        _check_text(name, value)
    return entries


def read_text_lists(name: str, raw: bytes) -> dict[str, list[str]]:
    """Lists of texts by a name."""
    lists = {key: read_text_list(name, value) for key, value in read_by_name(name, raw).items()}
    if sum(map(len, lists.values())) > MOST_ENTRIES:
        raise Unprocessable(f'"{name}" has more than {MOST_ENTRIES} entries in all', param=name)
    return lists


def read_metadata(name: str, raw: bytes) -> dict[str, Any]:
    """An open JSON object of at most 64 KB and 32 levels."""
    if len(raw) > MOST_METADATA_BYTES:
        raise Unprocessable(f'"{name}" has {len(raw)} bytes; at most {MOST_METADATA_BYTES}', param=name)
    metadata = _decode(name, raw, dict[str, Any], "an object")
    _check_tree(name, metadata, DEEPEST_METADATA)
    return metadata


def read_owner_metadata(name: str, raw: bytes) -> dict[str, Any]:
    """Of a key or team: what the gateway itself reads in it must make sense."""
    metadata = read_metadata(name, raw)
    if metadata.get("cache") is not None:
        try:
            parse_wish(metadata["cache"])
        except ValueError as error:
            raise Unprocessable(f'"cache" in "{name}" cannot be read: {error}', param=name) from error
    if metadata.get("step_down") is not None:
        try:
            parse_step_down(metadata["step_down"])
        except ValueError as error:
            raise Unprocessable(f'"step_down" in "{name}" cannot be read: {error}', param=name) from error
    return metadata


def read_duration(name: str, raw: bytes) -> Duration:
    try:
        return parse_duration(_decode(name, raw, str, 'a duration such as "30d"'))
    except ValueError as error:
        raise Unprocessable(f'"{name}": {error}', param=name) from error


def read_entries(name: str, raw: bytes) -> list[Body]:
    """A list of objects."""
    entries = _decode(name, raw, list[dict[str, msgspec.Raw]], "a list of objects")
    if len(entries) > MOST_ENTRIES:
        raise Unprocessable(f'"{name}" has {len(entries)} entries; at most {MOST_ENTRIES}', param=name)
    return [{key: bytes(value) for key, value in entry.items()} for entry in entries]


def read_object(name: str, raw: bytes) -> Body:
    fields = _decode(name, raw, dict[str, msgspec.Raw], "an object")
    return {key: bytes(value) for key, value in fields.items()}


def read_choice(name: str, raw: bytes, choices: Collection[str]) -> str:
    text = read_text(name, raw)
    if text not in choices:
        raise Unprocessable(f'"{name}" is "{text}"; give one of {", ".join(choices)}', param=name)
    return text


def read_by_name(name: str, raw: bytes) -> Body:
    """An object with names of models as its keys."""
    entries = _decode(name, raw, dict[str, msgspec.Raw], "an object by model")
    if len(entries) > MOST_ENTRIES:
        raise Unprocessable(f'"{name}" has {len(entries)} entries; at most {MOST_ENTRIES}', param=name)
    for key in entries:
        _check_text(name, key)
    return {key: bytes(value) for key, value in entries.items()}


def _decode(name: str, raw: bytes, kind: type[_T], wanted: str) -> _T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise Unprocessable(f'"{name}" is {_short(raw)}; it must be {wanted}', param=name) from error


def _check_text(name: str, text: str) -> None:
    if not text or len(text) > LONGEST_TEXT:
        raise Unprocessable(f'"{name}" holds a text of {len(text)} characters; give 1 to {LONGEST_TEXT}', param=name)
    if "\0" in text:
        raise Unprocessable(f'"{name}" holds a NUL character, which cannot be stored', param=name)


def _check_tree(name: str, value: object, levels: int) -> None:
    if levels == 0:
        raise Unprocessable(f'"{name}" is nested deeper than {DEEPEST_METADATA} levels', param=name)
    match value:
        case str():
            if "\0" in value:
                raise Unprocessable(f'"{name}" holds a NUL character, which cannot be stored', param=name)
        case dict():
            for key, entry in value.items():
                _check_tree(name, key, levels)
                _check_tree(name, entry, levels - 1)
        case list():
            for entry in value:
                _check_tree(name, entry, levels - 1)
        case int() if abs(value) > LARGEST_COUNT and not isinstance(value, bool):
            raise Unprocessable(f'"{name}" holds a number beyond {LARGEST_COUNT}; write it as a text', param=name)
        case _:
            pass


def _short(raw: bytes) -> str:
    text = raw.decode(errors="replace")
    return text if len(text) <= 40 else f"{text[:40]}…"
