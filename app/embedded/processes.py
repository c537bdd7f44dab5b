"""Starting, recognising and ending server processes, and the locks that keep two Keyhouses apart."""

import fcntl
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from app.embedded.errors import EmbeddedServerError
from app.embedded.places import Account

LOG_LIMIT_BYTES = 8 * 1024 * 1024
POLL_INTERVAL_S = 0.01
# Nothing of the caller's environment reaches a server: no PG* variable, no library path, no locale.
SERVER_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC",
}  # fmt: skip
# Ports below the range that the kernel hands to outgoing connections, so that a stopped server finds its port free.
PORT_RANGE = range(15_000, 32_000)

# Runs before the server in its own process: asks Linux for a signal when the parent dies, gives up root, becomes
# the server. It is a program of its own because code between fork and exec is unsafe in a process with threads.
_DIE_WITH_PARENT = """
import ctypes, os, sys
parent, death_signal, uid, gid = map(int, sys.argv[1:5])
if uid >= 0:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
PR_SET_PDEATHSIG = 1
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
if os.getppid() != parent:
    sys.exit(1)
os.execv(sys.argv[5], sys.argv[5:])
"""


def launch(
    command: list[str], account: Account | None, log: Path, *, alive: "FileLock", dies_by: signal.Signals | None = None
) -> subprocess.Popen[bytes]:
    """Start a server in a session of its own, with its output in the log.

    The server and all its children hold the lock `alive`, which is held already, for as long as they live.
    `dies_by` is the signal it gets when the thread that called this ends (Linux alone; None: it lives on).
    """
    with _open_log(log) as output:
        try:
            if dies_by is not None and sys.platform == "linux":
                command, account = _with_death_signal(command, account, dies_by), None
            return _spawn(command, account, output, kept_open=alive.descriptors)
        except (OSError, subprocess.SubprocessError) as error:
            raise EmbeddedServerError(f'"{command[0]}" cannot be started: {error}') from error


def run(command: list[str], account: Account | None, log: Path, *, given: str = "") -> None:
    """Run a program to its end, with its output in the log; raises EmbeddedServerError when it fails."""
    begin = size_of(log)
    with _open_log(log) as output:
        try:
            process = _spawn(command, account, output, stdin=subprocess.PIPE)
        except (OSError, subprocess.SubprocessError) as error:
            raise EmbeddedServerError(f'"{command[0]}" cannot be started: {error}') from error
    with process:
        process.communicate(given.encode())
    if process.returncode != 0:
        raise failure(f'"{Path(command[0]).name}" failed', log, begin)


def _spawn(
    command: list[str],
    account: Account | None,
    output: int,
    *,
    stdin: int = subprocess.DEVNULL,
    kept_open: tuple[int, ...] = (),
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own command lines, no shell
        command,
        stdin=stdin,
        stdout=output,
        stderr=output,
        cwd="/",
        env=SERVER_ENVIRONMENT,
        start_new_session=True,
        umask=0o077,
        pass_fds=kept_open,
        user=None if account is None else account.uid,
        group=None if account is None else account.gid,
        extra_groups=None if account is None else [],
    )


def _with_death_signal(command: list[str], account: Account | None, dies_by: signal.Signals) -> list[str]:
    uid, gid = (-1, -1) if account is None else (account.uid, account.gid)
    numbers = [str(number) for number in (os.getpid(), int(dies_by), uid, gid)]
    return [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, *numbers, *command]


@contextmanager
def _open_log(log: Path) -> Iterator[int]:
    if size_of(log) > LOG_LIMIT_BYTES:
        log.replace(log.with_name(f"{log.name}.old"))
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def size_of(log: Path) -> int:
    """Bytes in the file, 0 when there is none."""
    try:
        return log.stat().st_size
    except FileNotFoundError:
        return 0


def read_from(log: Path, begin: int) -> str:
    """What was written to the log since `begin` (bytes)."""
    try:
        with log.open("rb") as file:
            file.seek(begin if begin <= size_of(log) else 0)
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""


def failure(what: str, log: Path, begin: int) -> EmbeddedServerError:
    """The error for `what`, with the last lines written to the log since `begin` and the log's path."""
    lines = read_from(log, begin).splitlines()[-12:]
    said = "".join(f"\n  {line}" for line in lines) or "\n  (nothing)"
    return EmbeddedServerError(f'{what}; the last lines of "{log}":{said}')


def runs_with(pid: int, marker: str) -> bool:
    """Whether the process lives and was started with `marker` among its arguments.

    A dead process, a zombie, or another program that was given a dead server's number has no such argument.
    """
    if sys.platform == "linux":
        try:
            return os.fsencode(marker) in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
    shown = subprocess.run(  # noqa: S603 - the argument is a number
        ["/bin/ps", "-ww", "-o", "args=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
        env={"LC_ALL": "en_US.UTF-8"},  # in the C locale it disguises letters beyond ASCII
    )
    return marker in shown.stdout


def read_pid(path: Path) -> int | None:
    """The number in the first line of a pid file, None when there is none."""
    try:
        first, *_ = path.read_text().splitlines() or [""]
        return int(first)
    except (OSError, ValueError):
        return None


def send_signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def wait_until(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Poll until the condition holds; False when it did not within the time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_INTERVAL_S)
    return True


def find_free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens at the moment."""
    for _ in range(200):
        port = secrets.choice(PORT_RANGE)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise EmbeddedServerError(f"no free port on 127.0.0.1 between {PORT_RANGE.start} and {PORT_RANGE.stop}")


class FileLock:
    """A lock that the kernel gives back when its holder dies."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        return self._descriptor is not None

    @property
    def descriptors(self) -> tuple[int, ...]:
        """The open file of a held lock: a process that inherits it holds the lock too."""
        return () if self._descriptor is None else (self._descriptor,)

    def try_acquire(self) -> bool:
        if self._descriptor is not None:
            return True
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    @contextmanager
    def hold(self, timeout_s: float, otherwise: str) -> Iterator[None]:
        """Hold the lock for the block; raises EmbeddedServerError, saying `otherwise`, when others keep it too long."""
        if not wait_until(self.try_acquire, timeout_s):
            raise EmbeddedServerError(f'{otherwise}: "{self._path}" has been locked for {timeout_s:.0f} s')
        try:
            yield
        finally:
            self.release()
