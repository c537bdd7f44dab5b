"""Processor time and memory of process trees, read from /proc (Linux)."""

import contextlib
import dataclasses
import os
import signal
import time
from pathlib import Path

PROC = Path("/proc")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
POSTGRES_NAMES = ("postgres",)
VALKEY_NAMES = ("valkey-server", "redis-server")


@dataclasses.dataclass(frozen=True, slots=True)
class CpuTime:
    """Seconds of user and system time since the start of each process, children that ended included."""

    gateway_s: float
    postgres_s: float
    valkey_s: float

    def since(self, earlier: "CpuTime") -> "CpuTime":
        return CpuTime(
            self.gateway_s - earlier.gateway_s,
            self.postgres_s - earlier.postgres_s,
            self.valkey_s - earlier.valkey_s,
        )


@dataclasses.dataclass(frozen=True, slots=True)
class House:
    """The processes of one gateway: its tree, and the stores that work in its data directory."""

    gateway_pid: int
    home: Path

    def pids(self) -> set[int]:
        """All of them: the gateway's descendants, and those that name the home or live in it."""
        return with_descendants({self.gateway_pid} | pids_of_home(self.home))

    def cpu_time(self) -> CpuTime:
        totals = {"gateway": 0.0, "postgres": 0.0, "valkey": 0.0}
        for pid in self.pids():
            with contextlib.suppress(OSError):
                totals[_part_of(pid)] += cpu_s_of(pid)
        return CpuTime(totals["gateway"], totals["postgres"], totals["valkey"])

    def gateway_memory_bytes(self) -> int:
        """Resident memory of the gateway's own processes, the stores left out."""
        own = [pid for pid in with_descendants({self.gateway_pid}) if _part_of(pid) == "gateway"]
        return sum(memory_bytes_of(pid) for pid in own)


def end_processes(pids: set[int], number: signal.Signals, wait_s: float) -> None:
    """Signal those that run and wait until all are gone or the time is over."""
    for pid in filter(_is_running, pids):
        with contextlib.suppress(OSError):
            os.kill(pid, number)
    until = time.monotonic() + wait_s
    while time.monotonic() < until and any(_is_running(pid) for pid in pids):
        time.sleep(0.05)


def with_descendants(roots: set[int]) -> set[int]:
    """The processes and all that descend from them and still run."""
    parents = {pid: parent for pid in _all_pids() if (parent := _parent_of(pid)) is not None}
    found = {root for root in roots if root in parents}
    while grown := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= grown
    return found


def cpu_s_of(pid: int) -> float:
    """User and system time of a process and of its children that were waited for."""
    fields = _stat_fields(pid)
    return sum(int(fields[index]) for index in (11, 12, 13, 14)) / TICKS_PER_S


def memory_bytes_of(pid: int) -> int:
    """Resident memory (VmRSS)."""
    for line in (PROC / str(pid) / "status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def _part_of(pid: int) -> str:
    name = (PROC / str(pid) / "comm").read_text().strip()
    if name in POSTGRES_NAMES:
        return "postgres"
    return "valkey" if name in VALKEY_NAMES else "gateway"


def _all_pids() -> list[int]:
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]


def _stat_fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on; the second, a name, may hold blanks."""
    return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()


def _parent_of(pid: int) -> int | None:
    try:
        return int(_stat_fields(pid)[1])
    except OSError:
        return None


def _is_running(pid: int) -> bool:
    try:
        return _stat_fields(pid)[0] != "Z"
    except OSError:
        return False


def pids_of_home(home: Path) -> set[int]:
    """Servers that may be detached from the gateway: their command line or working directory names the home."""
    found = set()
    for pid in _all_pids():
        with contextlib.suppress(OSError):
            directory = PROC / str(pid)
            command = (directory / "cmdline").read_bytes()
            if os.fsencode(home) in command or os.readlink(directory / "cwd").startswith(str(home)):
                found.add(pid)
    return found
