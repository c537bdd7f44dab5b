"""JSON Schemas as Gemini's models take them: the OpenAPI subset of the older ones, and the way back from it."""

from collections.abc import Callable
from functools import lru_cache

import msgspec

from app.base.errors import InvalidRequest
from app.protocols.losses import Loss, Losses

_LONGEST_CHAIN = 8
_DEEPEST = 24
_MOST_NODES = 5000
_NAMES_OF_A_NODE = 10
"""So many names in one cost as much as another."""
_LONGEST_REMEMBERED = 8192
_MOST_REMEMBERED = 512
_KEPT = frozenset(
    {
        "description", "enum", "example", "format", "items", "maxItems", "maxLength", "maxProperties", "maximum",
        "minItems", "minLength", "minProperties", "minimum", "nullable", "pattern", "properties", "propertyOrdering",
        "required", "title", "anyOf", "default",
    }
)  # fmt: skip
_ANNOTATIONS = frozenset({"$schema", "$id", "$comment", "$defs", "definitions", "additionalProperties", "examples"})
_COUNTS = frozenset({"maxItems", "minItems", "maxLength", "minLength", "maxProperties", "minProperties"})
_FORMATS = {
    "string": frozenset({"enum", "date-time"}),
    "number": frozenset({"float", "double"}),
    "integer": frozenset({"int32", "int64"}),
}
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_decode = msgspec.json.Decoder().decode

Node = dict[str, object]


def reduced(schema: str, param: str, losses: Losses) -> msgspec.Raw:
    """``schema`` in the OpenAPI subset. What the subset lacks is left out as a loss; references are written out."""
    reduce = _remembered_reduction if len(schema) <= _LONGEST_REMEMBERED else _reduction
    written, lost = reduce(schema, param)
    for loss in lost:
        if loss.severity == "dropped":
            losses.drop(loss.field)
        else:
            losses.approximate(loss.field)
    return msgspec.Raw(written)


def lowered(schema: msgspec.Raw, param: str) -> str:
    """Google's own Schema as JSON Schema: types in lower case, ``nullable`` as a type, counts as numbers."""
    written = bytes(schema)
    return (_remembered_lowering if len(written) <= _LONGEST_REMEMBERED else _lowering)(written, param)


def _reduction(schema: str, param: str) -> tuple[bytes, tuple[Loss, ...]]:
    losses = Losses()
    written = msgspec.json.encode(_Reducer(_read(schema, param), param, losses).reduced())
    return written, losses.gathered()


def _lowering(schema: bytes, param: str) -> str:
    return msgspec.json.encode(_lower(_read(schema, param), 0)).decode()


# The same tools come with every turn of a session.
_remembered_reduction = lru_cache(maxsize=_MOST_REMEMBERED)(_reduction)
_remembered_lowering = lru_cache(maxsize=_MOST_REMEMBERED)(_lowering)


def _read(schema: str | bytes, param: str) -> Node:
    try:
        value: object = _decode(schema)
    except _UNREADABLE as error:
        raise InvalidRequest(f'"{param}" is no JSON Schema that can be read', param=param) from error
    if isinstance(value, bool):
        return {}
    if not isinstance(value, dict):
        raise InvalidRequest(f'"{param}" must be a JSON Schema, an object', param=param)
    return value


def _lower(node: Node, depth: int) -> Node:
    if depth > _DEEPEST:
        return {}
    low: Node = {}
    for key, value in node.items():
        if key in ("nullable", "propertyOrdering", "property_ordering"):
            continue
        low[_JSON_NAMES.get(key, key)] = _lower_value(key, value, depth + 1)
    if node.get("nullable") is True:
        _make_nullable(low)
    return low


_JSON_NAMES = {
    "any_of": "anyOf", "max_items": "maxItems", "min_items": "minItems", "max_length": "maxLength",
    "min_length": "minLength", "max_properties": "maxProperties", "min_properties": "minProperties",
    "additional_properties": "additionalProperties", "defs": "$defs", "ref": "$ref", "example": "examples",
}  # fmt: skip


def _lower_value(key: str, value: object, depth: int) -> object:
    name = _JSON_NAMES.get(key, key)
    if name == "type" and isinstance(value, str):
        return value.lower()
    if name == "examples" and key == "example":
        return [value]
    if name in _COUNTS and isinstance(value, str) and value.isascii() and value.isdecimal():
        return int(value[:18])
    if name in ("properties", "$defs") and isinstance(value, dict):
        return {member: _lower(of, depth) if isinstance(of, dict) else of for member, of in value.items()}
    return _through(value, lambda node: _lower(node, depth)) if name in _SUBSCHEMAS else value


_SUBSCHEMAS = frozenset({"items", "anyOf", "additionalProperties", "allOf", "oneOf", "not", "prefixItems"})


def _through(value: object, change: Callable[[Node], Node]) -> object:
    if isinstance(value, dict):
        return change(value)
    if isinstance(value, list):
        return [change(one) if isinstance(one, dict) else one for one in value]
    return value


def _make_nullable(low: Node) -> None:
    of = low.get("type")
    if isinstance(of, str) and of != "null":
        low["type"] = [of, "null"]
    elif isinstance(low.get("anyOf"), list):
        low["anyOf"] = [*_listed(low["anyOf"]), {"type": "null"}]
    enum = low.get("enum")
    if isinstance(enum, list) and None not in enum:
        low["enum"] = [*enum, None]


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


class _Reducer:
    """Rewrites one schema. ``_open`` are the references that are being written out: one within itself ends there."""

    def __init__(self, root: Node, param: str, losses: Losses) -> None:
        self._root = root
        self._param = param
        self._losses = losses
        self._open: list[str] = []
        self._nodes = 0

    def reduced(self) -> Node:
        return self._reduce(self._root, 0)

    def _visit(self, names: int = 0) -> None:
        """References within references can make any number of nodes out of a few, and of the names in them."""
        self._nodes += 1 + names // _NAMES_OF_A_NODE
        if self._nodes > _MOST_NODES:
            raise InvalidRequest(
                f'"{self._param}" has more than {_MOST_NODES} parts once its references are written out; '
                "send a smaller schema",
                param=self._param,
            )

    def _reduce(self, node: Node, depth: int) -> Node:
        self._visit(_count_names(node))
        if depth > _DEEPEST:
            self._lose("nesting")
            return {"type": "object"}
        reference = node.get("$ref")
        if isinstance(reference, str):
            return self._written_out(reference, node, depth)
        node = self._merged(node, depth)
        kept: Node = {}
        for key, value in node.items():
            if key in _KEPT:
                kept[key] = value
            elif key not in _HANDLED and key not in _ANNOTATIONS:
                self._lose(key)
        self._set_type(kept, node, depth)
        self._set_bounds(kept, node)
        self._set_children(kept, depth)
        self._set_enum(kept, node)
        form = kept.get("format")
        if form is not None and form not in _FORMATS.get(str(kept.get("type")), ()):
            kept.pop("format")
            self._lose("format")
        return kept

    def _written_out(self, reference: str, node: Node, depth: int) -> Node:
        target = self._target(reference)
        if target is None or reference in self._open or len(self._open) >= _LONGEST_CHAIN:
            self._lose("$ref")
            return {"type": "object"}
        self._open.append(reference)
        written = self._reduce({**target, **{key: value for key, value in node.items() if key != "$ref"}}, depth + 1)
        self._open.pop()
        return written

    def _target(self, reference: str) -> Node | None:
        found: object = self._root
        head, *names = reference.split("/")
        if head != "#":
            return None
        for name in names:
            name = name.replace("~1", "/").replace("~0", "~")
            found = found.get(name) if isinstance(found, dict) else None
        return found if isinstance(found, dict) else None

    def _merged(self, node: Node, depth: int) -> Node:
        """``node`` with its allOf taken in, and oneOf as anyOf."""
        self._visit()
        merged = dict(node)
        for part in _listed(merged.pop("allOf", None)):
            reference = part.get("$ref") if isinstance(part, dict) else None
            if isinstance(reference, str):
                part = self._target(reference) or {}
            if isinstance(part, dict) and depth < _DEEPEST:
                part = self._merged(part, depth + 1)
                self._visit(_count_names(merged) + _count_names(part))
                _take_in(merged, part)
        if "oneOf" in merged:
            merged["anyOf"] = [*_listed(merged.get("anyOf")), *_listed(merged.pop("oneOf"))]
        return merged

    def _set_type(self, kept: Node, node: Node, depth: int) -> None:
        of = node.get("type")
        if isinstance(of, list):
            kinds = [kind for kind in of if kind != "null" and isinstance(kind, str)]
            if "null" in of:
                kept["nullable"] = True
            if len(kinds) == 1:
                kept["type"] = kinds[0]
            elif kinds and "anyOf" not in kept:
                kept["anyOf"] = [self._reduce({"type": kind, **_bound_to(kind, node)}, depth + 1) for kind in kinds]
                for key in ("items", "properties", "required"):
                    kept.pop(key, None)
        elif isinstance(of, str):
            kept["type"] = of
        elif "properties" in kept:
            kept["type"] = "object"
        elif "items" in kept:
            kept["type"] = "array"

    def _set_bounds(self, kept: Node, node: Node) -> None:
        for key, bound, step in (("exclusiveMinimum", "minimum", 1), ("exclusiveMaximum", "maximum", -1)):
            value = node.get(key)
            if value is None or isinstance(value, bool) or not isinstance(value, int | float):
                continue
            if kept.get("type") == "integer" and isinstance(value, int):
                kept.setdefault(bound, value + step)
            else:
                kept.setdefault(bound, value)
                self._lose(key)

    def _set_children(self, kept: Node, depth: int) -> None:
        properties = kept.get("properties")
        if isinstance(properties, dict):
            kept["properties"] = {name: self._child(of, depth) for name, of in properties.items()}
        elif properties is not None:
            kept.pop("properties")
        if "items" in kept:
            kept["items"] = self._child(kept["items"], depth)
        elif kept.get("type") == "array":
            kept["items"] = {}
        if "anyOf" in kept:
            self._set_choices(kept, depth)

    def _set_choices(self, kept: Node, depth: int) -> None:
        choices = [self._child(choice, depth) for choice in _listed(kept.pop("anyOf"))]
        real = [choice for choice in choices if choice.get("type") != "null"]
        if len(real) < len(choices):
            kept["nullable"] = True
        if len(real) == 1:
            kept.update({key: value for key, value in real[0].items() if key not in kept})
        elif real:
            kept["anyOf"] = real

    def _child(self, of: object, depth: int) -> Node:
        return self._reduce(of, depth + 1) if isinstance(of, dict) else {}

    def _set_enum(self, kept: Node, node: Node) -> None:
        if "const" in node:
            kept["enum"] = [node["const"]]
        values = _listed(kept.pop("enum", None))
        if None in values:
            kept["nullable"] = True
        texts = [value for value in values if isinstance(value, str)]
        if texts:
            kept["enum"] = texts
            kept.setdefault("type", "string")
        elif any(value is not None for value in values):
            # Only strings can be enumerated: the others are told in words.
            words = ", ".join(msgspec.json.encode(value).decode() for value in values if value is not None)
            before = kept.get("description")
            kept["description"] = f"{before} One of: {words}" if isinstance(before, str) else f"One of: {words}"
            self._losses.approximate(f"{self._param}.enum")

    def _lose(self, keyword: str) -> None:
        self._losses.drop(f"{self._param}.{keyword}")


_HANDLED = frozenset({"type", "const", "oneOf", "allOf", "exclusiveMinimum", "exclusiveMaximum", "$ref"})


def _count_names(node: Node) -> int:
    return sum(len(value) for value in node.values() if isinstance(value, dict | list))


def _take_in(merged: Node, part: Node) -> None:
    for key, value in part.items():
        mine = merged.get(key)
        if isinstance(mine, dict) and isinstance(value, dict):
            merged[key] = {**value, **mine}
        elif key == "required" and isinstance(mine, list) and isinstance(value, list):
            merged[key] = list(dict.fromkeys([*map(str, mine), *map(str, value)]))
        elif mine is None:
            merged[key] = value


def _bound_to(kind: str, node: Node) -> Node:
    keys = {"array": ("items",), "object": ("properties", "required")}.get(kind, ())
    return {key: node[key] for key in keys if key in node}
