"""The processes under measurement: the fast upstream, and a gateway started as a newcomer would."""

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from benchmarks.load import Target
from benchmarks.processes import House, end_processes, pids_of_home

REPOSITORY = Path(__file__).resolve().parents[1]
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
STORES_STOP_TIMEOUT_S = 5.0
# Far above what a run needs: every limit is checked on every call, none is hit.
KEY_LIMITS = {
    "key_alias": "benchmark",
    "max_budget": 100_000.0,
    "budget_duration": "30d",
    "rpm_limit": 10_000_000,
    "tpm_limit": 100_000_000_000,
    "max_parallel_requests": 10_000,
}


class ServerFailedError(Exception):
    """A server did not start, or refused what the benchmark needs."""


@contextlib.contextmanager
def pinned_to(core: int | None) -> Iterator[None]:
    """Processes started meanwhile run on that core alone; nothing changes where that can't be said."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def choose_cores() -> tuple[int | None, int | None]:
    """A core for the gateway and its stores and one for the load and the upstream; (None, None) without two."""
    if not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2:
        return None, None
    first, second, *_ = sorted(os.sched_getaffinity(0))
    return first, second


@contextlib.contextmanager
def running_upstream(core: int | None) -> Iterator[tuple[int, int]]:
    """The upstream's port and process id."""
    with pinned_to(core):
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.upstream"], cwd=REPOSITORY, stdout=subprocess.PIPE
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise ServerFailedError("the upstream did not start")
        yield int(line), process.pid
    finally:
        process.kill()
        process.communicate()


class Gateway:
    """A gateway on embedded stores in an empty home of its own."""

    def __init__(self, upstream_port: int, core: int | None, profile: Path | None) -> None:
        self.port = _free_port()
        self.master_key = "sk-" + secrets.token_hex(24)
        self._directory = Path(tempfile.mkdtemp(prefix="keyhouse-bench-"))
        self._log = self._directory / "gateway.log"
        self.home = self._directory / "home"
        # As root the stores run as another account, which must be able to pass through.
        self._directory.chmod(0o755)
        self.home.mkdir(mode=0o755)
        launcher = ["-m", "cProfile", "-o", str(profile.absolute())] if profile else []
        command = [sys.executable, *launcher, "-m", "app.cli", "serve", "--host", "127.0.0.1"]
        with pinned_to(core), self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, "--port", str(self.port)],
                cwd=REPOSITORY,
                env=self._environment(upstream_port),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.house = House(self._process.pid, self.home)

    def _environment(self, upstream_port: int) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL") if name in os.environ}
        upstream = f"http://127.0.0.1:{upstream_port}"
        return kept | {
            "KEYHOUSE_HOME": str(self.home),
            "KEYHOUSE_MASTER_KEY": self.master_key,
            "ANTHROPIC_API_KEY": "sk-ant-benchmark",
            "ANTHROPIC_API_BASE": upstream,
            "OPENAI_API_KEY": "sk-benchmark",
            "OPENAI_API_BASE": upstream + "/v1",
        }

    def wait_until_ready(self) -> float:
        """Seconds from the first look to the first 200 of the readiness check. Raises ServerFailedError."""
        started_at = time.monotonic()
        while time.monotonic() < started_at + START_TIMEOUT_S:
            if self._process.poll() is not None:
                raise ServerFailedError(f"the gateway ended with {self._process.returncode}:\n{self.log_tail()}")
            with contextlib.suppress(OSError):
                self._ask("GET", "/health/readiness", None)
                return time.monotonic() - started_at
            time.sleep(0.05)
        raise ServerFailedError(f"the gateway was not ready after {START_TIMEOUT_S:.0f} s:\n{self.log_tail()}")

    def create_key(self) -> Target:
        """A virtual key with a budget and every limit, as a target of load. Raises ServerFailedError."""
        try:
            answer = json.loads(self._ask("POST", "/key/generate", json.dumps(KEY_LIMITS).encode()))
        except urllib.error.HTTPError as error:
            raise ServerFailedError(f"/key/generate answered {error.code}: {error.read()!r}") from error
        return Target(self.port, str(answer["key"]))

    def log_tail(self) -> str:
        return self._log.read_text(errors="replace")[-4000:]

    def stop(self) -> None:
        """As Ctrl-C does, so that the stores are stopped and a profile is written; then remove the home."""
        running = self.house.pids() if self._process.poll() is None else set()
        try:
            if running:
                end_processes({self._process.pid}, signal.SIGINT, STOP_TIMEOUT_S)
        finally:
            left = running | pids_of_home(self.home)
            end_processes(left - {self._process.pid}, signal.SIGINT, STORES_STOP_TIMEOUT_S)
            end_processes(left, signal.SIGKILL, 2.0)
            self._process.wait(timeout=5)
            shutil.rmtree(self._directory, ignore_errors=True)

    def _ask(self, method: str, path: str, body: bytes | None) -> bytes:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=body, method=method)
        request.add_header("authorization", f"Bearer {self.master_key}")
        request.add_header("content-type", "application/json")
        with urllib.request.urlopen(request, timeout=10) as answer:
            content: bytes = answer.read()
            return content


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
