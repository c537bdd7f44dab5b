"""The fake provider's own books: what each call used, and how far it came."""

import dataclasses
import json
from pathlib import Path
from typing import IO, Literal

from tests.fakes.answers import UsageSent

State = Literal["started", "finished", "cut_by_client", "cut_by_upstream"]


@dataclasses.dataclass(slots=True)
class BillEntry:
    """One billable call. The token classes are disjoint, but `output` holds `reasoning`."""

    request_id: str
    path: str
    model: str
    streamed: bool
    input: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    output: int  # what the whole answer takes, also when it was cut
    reasoning: int
    state: State = "started"
    output_tokens_sent: int = 0  # handed to the kernel before the end or the cut
    usage_sent: UsageSent = "none"  # what the client could have learnt of the usage


class Bill:
    """All calls of one upstream, in order of arrival; with a path, also a line of JSON for each change.

    A line is written when a call starts and when it ends, so the file is right after any kill of others.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.entries: list[BillEntry] = []
        self._file: IO[str] | None = path.open("a", encoding="utf-8") if path else None

    def open_call(self, entry: BillEntry) -> BillEntry:
        self.entries.append(entry)
        self._write(entry)
        return entry

    def close_call(self, entry: BillEntry, state: State) -> None:
        entry.state = state
        self._write(entry)

    def close(self) -> None:
        if self._file:
            self._file.close()

    def _write(self, entry: BillEntry) -> None:
        if self._file:
            self._file.write(json.dumps(dataclasses.asdict(entry)) + "\n")
            self._file.flush()


def read_bill(path: Path) -> list[BillEntry]:
    """The last known state of each call in the file; a half-written last line is left out."""
    entries: dict[str, BillEntry] = {}
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.endswith("\n"):
            entry = BillEntry(**json.loads(line))
            entries[entry.request_id] = entry
    return list(entries.values())
