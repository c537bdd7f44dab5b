"""The canonical answer: as a stream of events, and folded into one Generation."""

from collections.abc import Iterable
from typing import Literal

import msgspec

from app.base.money import NanoUSD
from app.domain.usage import Usage
from app.protocols.conversation import Block, Citation, Foreign, Image, Refusal, Text, Thinking, ToolCall
from app.protocols.opaque import Seal

FinishReason = Literal["stop", "stop_sequence", "length", "tool_calls", "content_filter", "pause"]


class Started(msgspec.Struct, frozen=True):
    """``generation_id`` and ``model`` are the host's."""

    generation_id: str
    model: str


class BlockStarted(msgspec.Struct, frozen=True):
    """A block begins. A ToolCall brings its id and name and ``arguments=""``; Text, Thinking and Refusal their seal or
    nothing; Foreign and Image are whole at once."""

    block: Text | Thinking | ToolCall | Refusal | Foreign | Image


class BlockDelta(msgspec.Struct, frozen=True):
    """More of the open block: of its text, or of its arguments' JSON, cut anywhere."""

    text: str


class SealAdded(msgspec.Struct, frozen=True):
    """The proof of the open Thinking, whole."""

    seal: Seal


class CitationAdded(msgspec.Struct, frozen=True):
    """For the open Text."""

    citation: Citation


class BlockEnded(msgspec.Struct, frozen=True):
    pass


class UsageReported(msgspec.Struct, frozen=True):
    """The host's counts so far; a later report replaces an earlier one. ``cost`` where the host tells its price."""

    usage: Usage
    cost: NanoUSD | None = None


class Ended(msgspec.Struct, frozen=True):
    """The answer is whole; nothing follows. ``extras`` are the host's other top-level facts as JSON text, by name."""

    finish: FinishReason
    stop_sequence: str | None = None
    extras: dict[str, str] = {}


class Failed(msgspec.Struct, frozen=True):
    """The host reports a failure in the middle of its answer; nothing follows. ``status`` as if it had come first."""

    status: int
    message: str


class Heartbeat(msgspec.Struct, frozen=True):
    """The host is alive and has nothing to say."""


Event = (
    Started
    | BlockStarted
    | BlockDelta
    | SealAdded
    | CitationAdded
    | BlockEnded
    | UsageReported
    | Ended
    | Failed
    | Heartbeat
)
"""At most one block is open at a time: Started, then blocks one after the other, UsageReported anywhere, Ended last.

So whoever parses a protocol whose blocks overlap puts them in order (see BlockOrder)."""


class Generation(msgspec.Struct, frozen=True):
    """One whole answer."""

    generation_id: str
    model: str
    blocks: tuple[Block, ...]
    finish: FinishReason
    usage: Usage | None = None
    cost: NanoUSD | None = None
    stop_sequence: str | None = None
    extras: dict[str, str] = {}


class Incomplete(Exception):
    """The events ended before the answer did."""


class GenerationFailed(Exception):
    """The events end with a failure that the host reported."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.message)
        self.failed = failed


def fold(events: Iterable[Event]) -> Generation:
    """The answer that the events tell. Raises Incomplete, GenerationFailed."""
    folding = _Folding()
    for event in events:
        folding.take(event)
    return folding.whole()


class _Folding:
    def __init__(self) -> None:
        self._started = Started("", "")
        self._ended: Ended | None = None
        self._usage: UsageReported | None = None
        self._blocks: list[Block] = []
        self._open: Block | None = None
        self._texts: list[str] = []
        self._seal: Seal | None = None
        self._citations: list[Citation] = []

    def take(self, event: Event) -> None:
        match event:
            case BlockDelta(text):
                self._texts.append(text)
            case BlockStarted(block):
                self._open, self._texts, self._seal, self._citations = block, [], None, []
            case BlockEnded():
                if self._open is not None:
                    self._blocks.append(self._closed(self._open))
                self._open = None
            case SealAdded(seal):
                self._seal = seal
            case CitationAdded(citation):
                self._citations.append(citation)
            case Failed():
                raise GenerationFailed(event)
            case _:
                self._note(event)

    def _note(self, event: Event) -> None:
        match event:
            case UsageReported():
                self._usage = event
            case Started():
                self._started = event
            case Ended():
                self._ended = event
            case _:
                pass

    def whole(self) -> Generation:
        ended = self._ended
        if ended is None:
            raise Incomplete
        return Generation(
            generation_id=self._started.generation_id,
            model=self._started.model,
            blocks=tuple(self._blocks),
            finish=ended.finish,
            usage=self._usage.usage if self._usage else None,
            cost=self._usage.cost if self._usage else None,
            stop_sequence=ended.stop_sequence,
            extras=ended.extras,
        )

    def _closed(self, block: Block) -> Block:
        text = "".join(self._texts)
        match block:
            case Text():
                return Text(block.text + text, (*block.citations, *self._citations), block.cache)
            case Thinking():
                return Thinking(block.text + text, self._seal or block.seal, block.redacted)
            case ToolCall():
                return ToolCall(block.call_id, block.name, (block.arguments + text).strip() or "{}", block.cache)
            case Refusal():
                return Refusal(block.text + text)
            case _:
                return block


def unfold(generation: Generation) -> list[Event]:
    """The events that tell this answer, in as few pieces as can be."""
    events: list[Event] = [Started(generation.generation_id, generation.model)]
    for block in generation.blocks:
        match block:
            case Text(text, citations):
                events += [BlockStarted(Text("")), BlockDelta(text), *map(CitationAdded, citations)]
            case Thinking(text, seal, redacted):
                events += [BlockStarted(Thinking("", redacted=redacted)), BlockDelta(text)]
                if seal is not None:
                    events.append(SealAdded(seal))
            case ToolCall(call_id, name, arguments):
                events += [BlockStarted(ToolCall(call_id, name, "")), BlockDelta(arguments)]
            case Refusal(text):
                events += [BlockStarted(Refusal("")), BlockDelta(text)]
            case Foreign() | Image():
                events.append(BlockStarted(block))
            case _:  # no answer holds any other
                continue
        events.append(BlockEnded())
    if generation.usage is not None:
        events.append(UsageReported(generation.usage, generation.cost))
    events.append(Ended(generation.finish, generation.stop_sequence, generation.extras))
    return events


class BlockOrder:
    """Puts overlapping blocks one after the other: the first open one streams, the others wait until it is over.

    ``key`` is what the protocol calls a block by: an index, an item id.
    """

    __slots__ = ("_ended", "_waiting")

    def __init__(self) -> None:
        self._waiting: dict[object, list[Event]] = {}
        self._ended: set[object] = set()

    @property
    def open_keys(self) -> tuple[object, ...]:
        """Those that have not ended, in the order in which they began."""
        return tuple(key for key in self._waiting if key not in self._ended)

    def start(self, key: object, block: Text | Thinking | ToolCall | Refusal | Foreign | Image) -> list[Event]:
        self._waiting[key] = []
        return self.add(key, BlockStarted(block))

    def add(self, key: object, event: Event) -> list[Event]:
        """What may be told now: the event itself where its block is the first open one."""
        if next(iter(self._waiting)) == key:
            return [event]
        self._waiting[key].append(event)
        return []

    def end(self, key: object) -> list[Event]:
        self._ended.add(key)
        told: list[Event] = []
        while self._waiting and (first := next(iter(self._waiting))) in self._ended:
            told += [*self._waiting.pop(first), BlockEnded()]
            self._ended.discard(first)
            if self._waiting:
                following = next(iter(self._waiting))
                told += self._waiting[following]
                self._waiting[following] = []
        return told

    def end_all(self) -> list[Event]:
        return [event for key in self.open_keys for event in self.end(key)]
