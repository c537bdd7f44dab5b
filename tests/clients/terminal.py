"""A terminal that a client runs in: what a developer types, and what stands on the screen."""

import asyncio
import json
import shutil
from types import TracebackType
from typing import Self

import pytest

from tests.clients.running import Client

_LOOK_EVERY_S = 0.2


class Terminal:
    """A tmux server of its own with one window. Use as a context: it ends with the client in it."""

    def __init__(self, client: Client, *arguments: str, columns: int = 150, rows: int = 50) -> None:
        if shutil.which("tmux") is None:
            pytest.skip("tmux is not there, and the client needs a terminal")
        self._client = client
        self._arguments = arguments
        self._size = (str(columns), str(rows))

    async def __aenter__(self) -> Self:
        _skip_first_questions(self._client)
        variables = [f"{name}={value}" for name, value in self._client.variables.items()]
        columns, rows = self._size
        command = ["env", "-i", "TERM=screen-256color", *variables, str(self._client.package.path), *self._arguments]
        # A command of several words is run without a shell.
        await self._tmux("new-session", "-d", "-x", columns, "-y", rows, "-c", str(self._client.work), *command)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._tmux("kill-server")

    async def type(self, text: str) -> None:
        await self._tmux("send-keys", "-l", text)

    async def press(self, *keys: str) -> None:
        """By tmux's names: Enter, Escape, Up."""
        await self._tmux("send-keys", *keys)

    async def enter(self, text: str) -> None:
        """A line and its end, given time between them: what comes in one gulp is taken for pasted text."""
        await self.type(text)
        await self.until(text.split()[0])
        await self.press("Enter")

    async def screen(self) -> str:
        return await self._tmux("capture-pane", "-p", "-S", "-200")

    async def until(self, text: str, timeout_s: float = 20) -> str:
        """The screen as soon as it holds the text. Raises TimeoutError with what it holds instead."""
        screen = ""
        try:
            async with asyncio.timeout(timeout_s):
                while text not in (screen := await self.screen()):  # noqa: ASYNC110  tmux tells of no change
                    await asyncio.sleep(_LOOK_EVERY_S)
        except TimeoutError:
            raise TimeoutError(f'"{text}" did not appear in {timeout_s} s:\n{screen.strip()}') from None
        return screen

    async def _tmux(self, *arguments: str) -> str:
        socket = str(self._client.home / "tmux.sock")
        process = await asyncio.create_subprocess_exec(
            "tmux", "-S", socket, "-f", "/dev/null", *arguments, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
        assert process.returncode == 0, arguments
        return output.decode(errors="replace")


def _skip_first_questions(client: Client) -> None:
    """What Claude Code asks of a new user and in a new folder, answered."""
    folder = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
    settings = {
        "hasCompletedOnboarding": True,
        "theme": "dark",
        "numStartups": 5,
        "lastOnboardingVersion": client.package.version,
        "projects": {str(client.work): folder},
    }
    config = client.home / ".claude"
    config.mkdir(exist_ok=True)
    (config / ".claude.json").write_text(json.dumps(settings))
