"""The processes that serve: each tells the others that it runs, in which version and with which settings."""

import hashlib
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from app.base.clock import now
from app.base.ids import new_id
from app.storage.redis.process_board import RedisProcessBoard

TOLD_EVERY_S = 5.0


class ProcessRecord(msgspec.Struct, frozen=True):
    """``settings`` has a fingerprint of each, under the secret of the gateway."""

    host: str
    pid: int
    version: str
    started_at: datetime
    settings: Mapping[str, str]

    @property
    def digest(self) -> str:
        """The same where all settings are."""
        return hashlib.blake2b(repr(sorted(self.settings.items())).encode(), digest_size=4).hexdigest()


@dataclass(frozen=True, slots=True)
class RunningProcess:
    """``differs`` are the settings that this process, which is asked, has otherwise."""

    process_id: str
    record: ProcessRecord
    age_s: float
    is_this: bool
    differs: Sequence[str]


class Processes:
    """Methods raise StorageUnavailable."""

    def __init__(self, board: RedisProcessBoard, version: str, settings: Mapping[str, str]) -> None:
        self._board = board
        self._process_id = new_id("process")
        self._own = ProcessRecord(socket.gethostname(), os.getpid(), version, now(), settings)
        self._said = msgspec.json.encode(self._own)

    async def tell(self) -> None:
        await self._board.write(self._process_id, self._said)

    async def leave(self) -> None:
        await self._board.forget(self._process_id)

    async def list(self) -> list[RunningProcess]:
        """The longest running first."""
        found = []
        for told in await self._board.list():
            record = msgspec.json.decode(told.record, type=ProcessRecord)
            is_this = told.process_id == self._process_id
            differs = _differences(self._own.settings, record.settings)
            found.append(RunningProcess(told.process_id, record, told.age_s, is_this, differs))
        return sorted(found, key=lambda one: (one.record.started_at, one.process_id))


def _differences(ours: Mapping[str, str], theirs: Mapping[str, str]) -> list[str]:
    """By name. Where the secret differs, no fingerprint says anything of the others. A setting that one of two versions
    does not have is none."""
    differing = sorted(name for name in ours.keys() & theirs.keys() if ours[name] != theirs[name])
    return ["secret"] if "secret" in differing else differing
