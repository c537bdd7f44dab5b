"""A function's parameters as most APIs take them: an object at the root, with no choice between schemas there.

OpenAI's and Anthropic's APIs refuse a whole request for one tool whose root says ``anyOf`` or lacks its type, and
generators and servers of tools often write such schemas.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec

from app.base.errors import InvalidRequest

_COMPOSED = ("allOf", "anyOf", "oneOf")
_REFUSED = ("enum", "const", "not", "if", "then", "else")
_REFERENCE = "$ref"
_IN_OTHER_WORDS = frozenset({*_COMPOSED, *_REFUSED, _REFERENCE})
_NAMED = ("#/$defs/", "#/definitions/")
_LONGEST_CHAIN = 8
_DEEPEST = 4
_MOST_PARTS = 5_000
_LONGEST_REMEMBERED = 8192
_EMPTY = msgspec.Raw(b'{"type":"object","properties":{}}')

_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode = msgspec.json.Decoder().decode

Schema = dict[str, Any]


def rooted(schema: str | None, param: str) -> tuple[msgspec.Raw, bool]:
    """(the schema with an object at its root, whether its root had to be put in other words).

    Raises InvalidRequest for what is no JSON object.
    """
    if schema is None or schema == "null":
        return _EMPTY, False
    if len(schema) <= _LONGEST_REMEMBERED:  # the same tools come with every turn of a session
        return _remembered(schema, param)
    return _read(schema, param)


def _read(schema: str, param: str) -> tuple[msgspec.Raw, bool]:
    try:
        members = _decode_members(schema)
        if members.keys() & _IN_OTHER_WORDS:
            decoded = _decode(schema)
            return msgspec.Raw(msgspec.json.encode(_Merger(decoded, param).merged(decoded))), True
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidRequest(f'"{param}" must be a JSON Schema, an object', param=param) from error
    kind = bytes(members.get("type", b""))
    if kind.startswith(b'"') and (kind != b'"object"' or "properties" in members):
        return msgspec.Raw(schema.encode()), False
    members["type"] = msgspec.Raw(b'"object"')
    members.setdefault("properties", msgspec.Raw(b"{}"))
    return msgspec.Raw(msgspec.json.encode(members)), False


_remembered = lru_cache(maxsize=512)(_read)


class _Merger:
    """Makes one object of those that a root chooses between or puts together.

    A few references can make any number of parts: each schema is put together once, and of them all at most so many.
    """

    def __init__(self, root: Schema, param: str) -> None:
        self._root = root
        self._param = param
        self._parts = 0
        self._known: dict[tuple[int, int], tuple[Schema, Schema]] = {}
        """By the identity of a schema, which is kept with it, and its depth."""

    def merged(self, schema: Schema, depth: int = 0) -> Schema:
        """Raises InvalidRequest."""
        if depth > _DEEPEST or not schema.keys() & _IN_OTHER_WORDS:
            return schema
        place = (id(schema), depth)
        if place not in self._known:
            self._known[place] = schema, self._merge(schema, depth)
        return self._known[place][1]

    def _merge(self, schema: Schema, depth: int) -> Schema:
        """A property has all its schemas; what every branch requires is required. The rule itself goes into the
        description, where the model reads it."""
        merged = _without(schema)
        properties = dict(_object(merged.get("properties")))
        required = dict.fromkeys(_texts(merged.get("required")))
        told: Schema = {name: schema[name] for name in _REFUSED if name in schema}
        for keyword in _COMPOSED:
            branches = [self._branch(branch, depth + 1) for branch in _branches(schema, keyword)]
            for branch in branches:
                for name, inner in _object(branch.get("properties")).items():
                    properties[name] = _either(properties[name], inner) if name in properties else inner
                if keyword == "allOf":
                    merged = {**_without(branch), **merged}
            required |= dict.fromkeys(_required_by(branches, each=keyword == "allOf"))
            if branches and keyword != "allOf":
                told[keyword] = schema[keyword]
        merged |= {"type": "object", "properties": properties}
        if required:
            merged["required"] = list(required)
        if told:
            rule = msgspec.json.encode(told).decode()
            described = merged.get("description")
            merged["description"] = f"{described}\n\n{rule}" if isinstance(described, str) and described else rule
        return merged

    def _branch(self, branch: Schema, depth: int) -> Schema:
        found = self.merged(_resolved(branch, self._root), depth)
        self._parts += 1 + len(found) + len(_object(found.get("properties"))) + len(_texts(found.get("required")))
        if self._parts > _MOST_PARTS:
            raise InvalidRequest(
                f'"{self._param}" has more than {_MOST_PARTS} parts at its root once its references are written out; '
                "send a smaller schema",
                param=self._param,
            )
        return found


def _without(schema: Schema) -> Schema:
    return {name: value for name, value in schema.items() if name not in _IN_OTHER_WORDS}


def _branches(schema: Schema, keyword: str) -> list[Schema]:
    listed = _objects(schema.get(keyword))
    if keyword == "allOf" and _REFERENCE in schema:
        return [{_REFERENCE: schema[_REFERENCE]}, *listed]
    return listed


def _required_by(branches: Sequence[Schema], *, each: bool) -> list[str]:
    """What all the branches need together, or what any of them needs where ``each`` holds."""
    needs = [_texts(branch.get("required")) for branch in branches]
    if each:
        return [name for need in needs for name in need]
    return [name for name in needs[0] if all(name in need for need in needs)] if needs else []


def _either(known: object, another: object) -> object:
    if known == another:
        return known
    if isinstance(known, dict) and known.keys() == {"anyOf"} and isinstance(known["anyOf"], list):
        return known if another in known["anyOf"] else {"anyOf": [*known["anyOf"], another]}
    return {"anyOf": [known, another]}


def _resolved(branch: Schema, root: Schema) -> Schema:
    for _ in range(_LONGEST_CHAIN):
        reference = branch.get(_REFERENCE)
        head = next((head for head in _NAMED if isinstance(reference, str) and reference.startswith(head)), None)
        if head is None or not isinstance(reference, str):
            return branch
        branch = _object(_object(root.get(head[2:-1])).get(reference.removeprefix(head)))
    return branch


def _object(value: object) -> Schema:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> list[Schema]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _texts(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
