"""What the supervisor needs to know about a server."""

import signal
from enum import Enum, auto
from pathlib import Path
from typing import Protocol


class Answer(Enum):
    """What a server says when it is asked whether it can serve."""

    READY = auto()
    STARTING = auto()  # it lives and reads its data back
    SILENT = auto()


class Engine(Protocol):
    """One kind of server on one home. All methods block; those that change files want the home's lock held."""

    name: str
    log: Path
    stop_signals: tuple[tuple[signal.Signals, float], ...]  # each with the seconds to wait for its effect

    def prepare(self) -> None:
        """Make credentials, data and endpoint where they are missing; called before each launch."""
        ...

    def move(self) -> None:
        """Take another endpoint, because the present one is in use by somebody else."""
        ...

    def command(self) -> list[str]: ...

    def find_pid(self) -> int | None:
        """The process that serves this home's data now."""
        ...

    def ask(self) -> Answer: ...

    def will_pass(self, said: str) -> bool:
        """Whether a launch that ended with these lines in the log is worth another try."""
        ...

    @property
    def marker(self) -> str:
        """The argument by which a process is known as the server of this home's data."""
        ...

    @property
    def url(self) -> str: ...
