"""What the fake provider remembers of the wire: requests and answers, byte for byte."""

import dataclasses
import json
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True)
class RecordedRequest:
    """One request as it came: header names in their case and order, the target with its query."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    def header(self, name: str) -> str | None:
        """The first value of that name, in any case."""
        values = self.header_values(name)
        return values[0] if values else None

    def header_values(self, name: str) -> list[str]:
        return [value for known, value in self.headers if known.lower() == name.lower()]

    def json(self) -> Any:
        return json.loads(self.body)


@dataclasses.dataclass(slots=True)
class RecordedResponse:
    """One answer as far as it was handed to the kernel; `responses[n]` answers `requests[n]`."""

    request_id: str
    raw: bytearray = dataclasses.field(default_factory=bytearray)  # status line, headers, chunk framing and all
    body: bytearray = dataclasses.field(default_factory=bytearray)  # without the chunk framing
    complete: bool = False
