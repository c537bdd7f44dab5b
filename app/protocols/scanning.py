"""What the usage scanners of all protocols share: frames in, the same bytes out, counts picked up on the way."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Annotated, Any, TypeVar

import msgspec

from app.domain.usage import Usage
from app.protocols.codec import UsageReport
from app.protocols.sse import FrameSplitter

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding a provider's bytes may raise: such bytes pass on, and say nothing of usage."""

T = TypeVar("T", bound=msgspec.Struct)

# Beyond any model's context by far, and safe to add up in 64 bits: a larger count is a host's mistake.
LARGEST_COUNT = 2**40
Count = Annotated[int, msgspec.Meta(ge=0, le=LARGEST_COUNT)] | None
"""Of a provider's usage object, read with the object; ``count_of`` reads one by itself."""


class FrameScanner(ABC):
    """A StreamScanner but for what a frame means.

    After a frame beyond the limit of ``splitter`` nothing is scanned any more: the bytes pass on untouched and the
    report is not final.
    """

    def __init__(self, *, withhold_usage: bool = False, splitter: FrameSplitter | None = None) -> None:
        self.ended = False
        self.failed = False
        self._withhold_usage = withhold_usage
        self._splitter = FrameSplitter() if splitter is None else splitter
        self._passed_last = True
        self._usage: Usage | None = None
        self._counted_all = False
        self._output_bytes = 0
        self._finish_reason: str | None = None

    def feed(self, chunk: bytes) -> bytes:
        splitter = self._splitter
        if splitter.overflowed:
            return chunk
        frames = splitter.feed(chunk)
        if not self._withhold_usage:
            for frame in frames:
                self._see(frame)
            if splitter.overflowed:
                splitter.take_rest()
            return chunk
        passed = [frame for frame in frames if self._passes(frame)]
        if splitter.overflowed:
            passed.append(splitter.take_rest())
        return passed[0] if len(passed) == 1 else b"".join(passed)

    def flush(self) -> bytes:
        """Scans a last frame that lacks its blank line, so that what it counts is counted."""
        rest = self._splitter.take_rest()
        passes = self._passes(rest) if rest else False
        return rest if passes and self._withhold_usage else b""

    @property
    def at_boundary(self) -> bool:
        splitter = self._splitter
        return not splitter.overflowed if self._withhold_usage else splitter.at_boundary

    @property
    def complete(self) -> bool:
        """Whether the protocol's own end was seen; an error event is one too: ours need not follow it."""
        return self.ended or self.failed

    def report(self) -> UsageReport:
        return UsageReport(
            usage=self._usage,
            final=self._usage is not None and self._counted_all and not self._splitter.overflowed,
            output_bytes=self._output_bytes,
            finish_reason=self._finish_reason,
        )

    def _passes(self, frame: bytes) -> bool:
        if frame != b"\n":  # the second half of a CR LF goes where the first half went
            self._passed_last = self._see(frame)
        return self._passed_last

    @abstractmethod
    def _see(self, frame: bytes) -> bool:
        """Take note of a frame; False for the one to withhold."""


def lenient_reader(
    shape: type[T], *, kept: Iterable[str], float_hook: Callable[[str], Any] | None = None
) -> Callable[[bytes], T | None]:
    """Reads a host's JSON as ``shape``, all of whose fields have defaults.

    Of an object that is of another shape only the members ``kept`` are read, whatever they are: an error or a count
    that stands beside something new still matters. None for what is no object.
    """
    decode = msgspec.json.Decoder(shape, float_hook=float_hook).decode
    rest = msgspec.defstruct("Rest", [(name, Any, None) for name in kept])
    decode_rest = msgspec.json.Decoder(rest, float_hook=float_hook).decode

    def read(data: bytes) -> T | None:
        try:
            return decode(data)
        except msgspec.ValidationError:
            pass
        except UNREADABLE:
            return None
        try:
            return shape(**msgspec.structs.asdict(decode_rest(data)))
        except UNREADABLE:
            return None

    return read


def count_of(values: object, name: str) -> int | None:
    """A count in a provider's usage object; None where it is missing, null or no sensible number."""
    value = values.get(name) if isinstance(values, dict) else None
    return value if type(value) is int and 0 <= value <= LARGEST_COUNT else None


def text_bytes(value: object, depth: int = 4) -> int:
    """The length in UTF-8 of a text, or of all texts in a list of content parts, ``depth`` levels down."""
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode())
    if depth and isinstance(value, list):
        return sum([text_bytes(part, depth - 1) for part in value])
    if depth and isinstance(value, dict):
        texts = (value.get("text"), value.get("thinking"), value.get("content"))
        return sum([text_bytes(text, depth - 1) for text in texts if text is not None])
    return 0


def json_bytes(value: object) -> int:
    """The length of a decoded value when written as JSON; 0 for one that cannot be written."""
    try:
        return len(msgspec.json.encode(value))
    except (OverflowError, RecursionError):
        return 0


def as_word(value: object) -> str | None:
    """A finish reason: a short text, else None."""
    return value[:64] if isinstance(value, str) and value else None
