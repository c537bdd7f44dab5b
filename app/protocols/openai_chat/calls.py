"""Tool calls of an answer: told apart, named as the client named its tools, and put in order."""

from collections.abc import Mapping
from typing import Any

import msgspec

from app.protocols.conversation import ToolCall
from app.protocols.events import BlockDelta, BlockOrder, Event
from app.protocols.naming import fitting_id

_encode = msgspec.json.Encoder(decimal_format="number").encode
_LEGACY_INDEX = -1


class _OpenCall:
    __slots__ = ("arguments", "call_id", "key", "name", "started")

    def __init__(self, key: object) -> None:
        self.key = key
        self.call_id = ""
        self.name = ""
        self.started = False
        self.arguments: list[str] = []


class Calls:
    """The calls of one answer. ``seed`` is what ids are made of where the host gives none."""

    def __init__(self, order: BlockOrder, names: Mapping[str, str]) -> None:
        self._order = order
        self._names = names
        self._by_index: dict[int, _OpenCall] = {}
        self._all: list[_OpenCall] = []
        self._ids: set[str] = set()
        self.seed = ""

    @property
    def count(self) -> int:
        return len(self._all)

    def take(self, tool_calls: object, function_call: object, *, whole: bool) -> list[Event]:
        """The next pieces of calls. In a ``whole`` message each entry is a call of its own."""
        events: list[Event] = []
        for number, entry in enumerate(tool_calls if isinstance(tool_calls, list) else ()):
            if isinstance(entry, dict):
                self._take_entry(entry, number if whole else entry.get("index"), events)
        if isinstance(function_call, dict):
            self._take_entry({"function": function_call}, _LEGACY_INDEX, events)
        return events

    def end(self) -> list[Event]:
        events: list[Event] = []
        for call in self._all:
            if not call.started:
                self._start(call, events)
            events += self._order.end(call.key)
        return events

    def _take_entry(self, entry: dict[str, Any], index: object, events: list[Event]) -> None:
        function = entry.get("function")
        said: dict[str, Any] = function if isinstance(function, dict) else {}
        call_id, name = _text(entry.get("id")), _text(said.get("name"))
        call = self._call_of(index if type(index) is int else None, call_id, name)
        call.call_id = call.call_id or call_id
        call.name = call.name or name
        arguments = said.get("arguments")
        text = arguments if isinstance(arguments, str) else _encode(arguments).decode() if arguments else ""
        if not call.started:
            call.arguments.append(text)
            if call.name:
                self._start(call, events)
        elif text:
            events += self._order.add(call.key, BlockDelta(text))

    def _call_of(self, index: int | None, call_id: str, name: str) -> _OpenCall:
        """A new index is a new call, and so is a new id or another name on the same index."""
        if index is None:
            known = self._nameless_place(call_id, name)
        else:
            known = self._by_index.get(index)
            if known is not None and (_differ(call_id, known.call_id) or _differ(name, known.name)):
                known = None
        if known is None:
            known = _OpenCall(("call", len(self._all)))
            self._all.append(known)
        if index is not None:
            self._by_index[index] = known
        return known

    def _nameless_place(self, call_id: str, name: str) -> _OpenCall | None:
        if call_id:
            return next((call for call in self._all if call.call_id == call_id), None)
        return None if name or not self._all else self._all[-1]

    def _start(self, call: _OpenCall, events: list[Event]) -> None:
        call.started = True
        call_id = call.call_id
        if not call_id or call_id in self._ids:
            call_id = fitting_id(f"{self.seed}.{call_id}.{len(self._ids)}")
        self._ids.add(call_id)
        events += self._order.start(call.key, ToolCall(call_id, self._names.get(call.name, call.name), ""))
        if text := "".join(call.arguments):
            events += self._order.add(call.key, BlockDelta(text))


def _differ(said: str, known: str) -> bool:
    return bool(said and known and said != known)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
