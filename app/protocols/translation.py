"""One streamed answer from a host's protocol into a client's: the StreamScanner of a translated call."""

from collections.abc import Sequence

from app.base.money import NanoUSD
from app.domain.usage import Usage
from app.protocols.codec import StreamParser, StreamRenderer, UsageReport
from app.protocols.conversation import ToolCall
from app.protocols.events import BlockDelta, BlockStarted, Ended, Event, Failed, Generation, UsageReported, unfold


class Tally:
    """What a translated answer has said of its usage so far, told from its events."""

    __slots__ = ("_cost", "_finish", "_output_bytes", "_usage", "ended", "failed")

    def __init__(self) -> None:
        self.ended = False
        self.failed = False
        self._usage: Usage | None = None
        self._cost: NanoUSD | None = None
        self._output_bytes = 0
        self._finish: str | None = None

    def see(self, event: Event) -> None:
        match event:
            case BlockDelta(text):
                self._output_bytes += len(text) if text.isascii() else len(text.encode())
            case BlockStarted(ToolCall(_, name)):
                self._output_bytes += len(name)
            case UsageReported(usage, cost):
                self._usage = usage
                self._cost = cost
            case Ended(finish):
                self.ended = True
                self._finish = finish
            case Failed():
                self.failed = True
            case _:
                pass

    def report(self) -> UsageReport:
        return UsageReport(
            usage=self._usage,
            final=self._usage is not None and self.ended,
            output_bytes=self._output_bytes,
            finish_reason=self._finish,
            cost=self._cost,
        )


class Translation:
    """A StreamScanner whose bytes in are the host's and whose bytes out are the client's."""

    def __init__(self, parser: StreamParser, renderer: StreamRenderer) -> None:
        self._parser = parser
        self._renderer = renderer
        self._tally = Tally()

    def feed(self, chunk: bytes) -> bytes:
        return self._render(self._parser.feed(chunk))

    def flush(self) -> bytes:
        return self._render(self._parser.end())

    @property
    def ended(self) -> bool:
        return self._tally.ended or self._tally.failed

    @property
    def failed(self) -> bool:
        return self._tally.failed

    @property
    def complete(self) -> bool:
        """A reported failure was told by an event of its own: ours need not follow it."""
        return self.ended

    at_boundary = True

    def report(self) -> UsageReport:
        return self._tally.report()

    def _render(self, events: Sequence[Event]) -> bytes:
        written: list[bytes] = []
        for event in events:
            if self.ended:
                break  # nothing follows the end, whatever a host sends
            self._tally.see(event)
            written.append(self._renderer.feed(event))
        return written[0] if len(written) == 1 else b"".join(written)


def report_of(generation: Generation) -> UsageReport:
    """The usage of a whole answer."""
    tally = Tally()
    for event in unfold(generation):
        tally.see(event)
    return tally.report()


def report_of_usage(usage: Usage | None, cost: NanoUSD | None = None) -> UsageReport:
    """Of an answer that is no text: embeddings, images."""
    return UsageReport(usage=usage, final=usage is not None, output_bytes=0, cost=cost)


def as_stream(generation: Generation, renderer: StreamRenderer) -> bytes:
    """A whole answer for a client that asked for a stream."""
    return b"".join(renderer.feed(event) for event in unfold(generation))
