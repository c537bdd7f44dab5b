"""The Lua scripts as the server knows them, and the one interface through which they run."""

import asyncio
import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Protocol

# What a script returned: int, bytes, None, or lists of these, as the wire has it.
Answer = Any

_FOLDER = files("app.storage.redis") / "scripts"
# What is put before scripts: each run makes these functions anew, so only those that call them have them.
_SHARED = {
    "reserve": ("hold", "counter"),
    "rebuild": ("hold", "counter"),
    "grow": ("hold",),
    "settle": ("hold",),
    "release": ("hold",),
    "renew": ("hold",),
    "sweep": ("hold",),
    "correct": ("missed",),
    "acknowledge": ("missed",),
}


@dataclass(frozen=True, slots=True)
class Script:
    """``digest`` is the SHA-1 in hexadecimal by which EVALSHA names it."""

    name: str
    source: str
    digest: str


class ScriptRunner(Protocol):
    """Runs scripts on one server, a sentinel's master or a cluster; safe for any number of coroutines."""

    @property
    def connections(self) -> int:
        """How many times the server was reached anew: a change means that it may have lost its last writes."""

    async def run(self, script: Script, keys: list[bytes], arguments: list[bytes | str | int]) -> Answer:
        """What the script returned. Never tried again by itself.

        Raises StorageUnavailable when there is no answer in time (the script may have run), and RuntimeError
        when the server refuses the script itself.
        """

    def start(self, script: Script, keys: list[bytes], arguments: list[bytes | str | int]) -> asyncio.Future[Answer]:
        """Like ``run``, begun at once: on a single server the command leaves the process in the loop's next turn.

        The future may hold any error; ``run`` is the one that says which, and teaches a script that was forgotten.
        """

    async def close(self) -> None:
        """Let go of every connection; calls under way raise StorageUnavailable."""


def load_script(name: str) -> Script:
    """``scripts/<name>.lua``, with what it shares with others put before it."""
    source = "\n".join(_read(part) for part in (*_SHARED.get(name, ()), name))
    return Script(name, source, hashlib.sha1(source.encode()).hexdigest())  # noqa: S324  Redis names scripts so


def _read(name: str) -> str:
    return (_FOLDER / f"{name}.lua").read_text(encoding="utf-8")
