"""A client as a developer starts it: its own process in an empty home, with every bypath to the outside shut."""

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from tests.clients.installed import CLAUDE_CODE, Package

_QUIET = {
    "DISABLE_TELEMETRY": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DO_NOT_TRACK": "1",
    "NO_PROXY": "*",
    "NO_COLOR": "1",
}


@dataclass(frozen=True, slots=True)
class Run:
    """What a finished client has said."""

    status: int
    output: str
    errors: str
    duration_s: float

    @property
    def events(self) -> list[dict[str, Any]]:
        """The lines of an output that is a stream of JSON."""
        return [msgspec.json.decode(line) for line in self.output.splitlines() if line.startswith("{")]

    @property
    def said(self) -> str:
        """All of it, for a look at what the developer reads."""
        return self.output + self.errors


@dataclass(slots=True)
class Client:
    """A client with its home. ``environment`` is all that it knows of ours."""

    package: Package
    home: Path
    environment: Mapping[str, str]
    work: Path = field(init=False)

    def __post_init__(self) -> None:
        self.work = self.home / "work"
        self.work.mkdir(parents=True, exist_ok=True)

    @property
    def variables(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.home), "LANG": "C.UTF-8", **_QUIET, **self.environment}

    async def run(self, *arguments: str, timeout_s: float = 60, more: Mapping[str, str] | None = None) -> Run:
        """Raises TimeoutError with what it has said by then, and leaves no process behind."""
        started_s = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            str(self.package.path),
            *arguments,
            cwd=self.work,
            env={**self.variables, **(more or {})},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        reading = asyncio.create_task(process.communicate())
        try:
            output, errors = await asyncio.wait_for(asyncio.shield(reading), timeout_s)
        except TimeoutError:
            os.killpg(process.pid, 9)
            output, errors = await reading
            said = (output + errors).decode(errors="replace")
            raise TimeoutError(f"{self.package.program} ran longer than {timeout_s} s and said:\n{said}") from None
        duration_s = time.monotonic() - started_s
        return Run(process.returncode or 0, output.decode(), errors.decode(), duration_s)


def claude_code(home: Path, base_url: str, key: str, package: Package = CLAUDE_CODE, **environment: str) -> Client:
    """Claude Code with the variables that the documentation names, and those that ``environment`` adds."""
    return Client(
        package,
        home,
        {
            "CLAUDE_CONFIG_DIR": str(home / ".claude"),
            "ANTHROPIC_BASE_URL": base_url,
            "ANTHROPIC_AUTH_TOKEN": key,
            **environment,
        },
    )


def asking(prompt: str, *options: str) -> Sequence[str]:
    """Claude Code's arguments for one prompt without a terminal, answered as a stream of JSON."""
    return ("-p", prompt, "--output-format", "stream-json", "--verbose", *options)
