"""Keeping the embedded servers of one home alive, and ending those that are ours to end."""

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from app.embedded import processes
from app.embedded.engine import Answer, Engine
from app.embedded.errors import EmbeddedServerError
from app.embedded.places import Places, open_places
from app.embedded.postgres import Postgres
from app.embedded.processes import FileLock
from app.embedded.valkey import Valkey

# Without any sign of life; reading the data back after a crash counts as one.
START_TIMEOUT_S = 30.0
RECOVERY_TIMEOUT_S = 600.0
HOME_LOCK_TIMEOUT_S = 120.0
# For what is left of a killed server to notice and end.
REMAINS_TIMEOUT_S = 15.0
RETRY_INTERVAL_S = 0.1


@dataclass(frozen=True, slots=True)
class Server:
    """One running server; the url holds its password."""

    name: str
    url: str = field(repr=False)
    pid: int


class EmbeddedServers:
    """The Postgres and the Valkey of one home; safe to use from several threads and by several processes.

    A home has one pair of servers. Who finds them running uses them and leaves them running, unless the Keyhouse
    that answered for them is dead: then they pass to the finder, so that a killed gateway leaves no orphans.
    """

    def __init__(
        self, home: Path, *, die_with_parent: bool = False, postgres: bool = True, valkey: bool = True
    ) -> None:
        """`die_with_parent`: on Linux, servers end when the thread that started them does."""
        self._home = home
        self._die_with_parent = die_with_parent
        self._kinds = [kind for kind, wanted in ((Postgres, postgres), (Valkey, valkey)) if wanted]
        self._supervised: dict[str, _Supervised] = {}
        self._data_folder: Path | None = None
        self._home_lock: FileLock | None = None
        self._one_at_a_time = threading.RLock()
        self._stopping = threading.Event()

    def start(self) -> None:
        """Start the servers, or find them running; does nothing when they run already.

        Blocks until they serve. Raises EmbeddedServerError; then nothing that it started is left running.
        """
        with self._one_at_a_time:
            self._stopping.clear()
            try:
                if self._home_lock is None:
                    self._open(open_places(self._home))
                with self._holding_home():
                    for supervised in self._supervised.values():
                        supervised.find_or_launch(may_move=True)
            except BaseException:
                self.stop()
                raise

    def ensure_running(self) -> list[str]:
        """Restart what has died, on the same url; the names of what was restarted.

        Costs microseconds when all is well. Blocks until the restarted serve. Raises EmbeddedServerError when one
        cannot be restarted; the next call tries again. Does nothing before start() and after stop().
        """
        with self._one_at_a_time:
            dead = [supervised for supervised in self._supervised.values() if not supervised.is_alive()]
            if not dead or self._stopping.is_set():
                return []
            with self._holding_home():
                return [each.engine.name for each in dead if each.find_or_launch(may_move=False)]

    def stop(self) -> None:
        """End the servers that this object answers for, in good order; blocks until they are gone."""
        self._stopping.set()
        with self._one_at_a_time:
            ours = [supervised for supervised in self._supervised.values() if supervised.owner.held]
            if not ours:
                return
            with self._holding_home():
                for supervised in ours:
                    supervised.end()

    def find_pid(self, name: str) -> int | None:
        """The process that serves "postgres" or "valkey" of this home now, whoever started it; starts nothing."""
        with self._one_at_a_time:
            if self._home_lock is None:
                self._open(open_places(self._home))
            return self._supervised[name].engine.find_pid()

    @property
    def servers(self) -> tuple[Server, ...]:
        """What runs now."""
        return tuple(
            Server(name, supervised.engine.url, supervised.pid)
            for name, supervised in self._supervised.items()
            if supervised.pid is not None
        )

    @property
    def database_url(self) -> str:
        """postgresql://… of the database `keyhouse`; its role is a superuser."""
        return self._get_url(Postgres.name)

    @property
    def redis_url(self) -> str:
        """unix://…?db=0, or redis://…/0 where the home's path is too long for a socket."""
        return self._get_url(Valkey.name)

    @property
    def data_folder(self) -> Path:
        """Where the data lies: the home, or for root a folder under /var/lib/keyhouse."""
        if self._data_folder is None:
            raise EmbeddedServerError("the embedded servers are not started")
        return self._data_folder

    def _get_url(self, name: str) -> str:
        supervised = self._supervised.get(name)
        if supervised is None or supervised.pid is None:
            raise EmbeddedServerError(f'the embedded "{name}" is not started')
        return supervised.engine.url

    def _open(self, places: Places) -> None:
        self._data_folder = places.data
        self._home_lock = FileLock(places.control / "lock")
        for kind in self._kinds:
            engine = kind(places)
            self._supervised[engine.name] = _Supervised(
                engine,
                owner=FileLock(places.control / f"{engine.name}.owner"),
                alive=FileLock(places.control / f"{engine.name}.alive"),
                places=places,
                stopping=self._stopping,
                die_with_parent=self._die_with_parent,
            )

    @contextmanager
    def _holding_home(self) -> Iterator[None]:
        if self._home_lock is None:
            raise EmbeddedServerError("the embedded servers are not started")
        try:
            with self._home_lock.hold(HOME_LOCK_TIMEOUT_S, "another Keyhouse is starting or stopping these servers"):
                yield
        except OSError as error:
            raise EmbeddedServerError(f'the embedded servers of "{self._home}" failed: {error}') from error


@dataclass(slots=True)
class _Supervised:
    """One server with the process that serves it now. Every method but is_alive wants the home's lock held."""

    engine: Engine
    owner: FileLock  # held by the one who must end the server
    alive: FileLock  # held by the server itself; also seen where its process is not, as from another container
    places: Places
    stopping: threading.Event
    die_with_parent: bool
    pid: int | None = None
    process: subprocess.Popen[bytes] | None = None  # only when it is a child of ours

    def is_alive(self) -> bool:
        if self.process is not None:
            return self.process.poll() is None
        return self.pid is not None and processes.runs_with(self.pid, self.engine.marker)

    def find_or_launch(self, *, may_move: bool) -> bool:
        """True when the server was launched, False when it ran already."""
        if self.is_alive():
            return False
        self.process = None
        self.pid = self.engine.find_pid()
        self.owner.try_acquire()
        if self.pid is None:
            self._launch(may_move=may_move)
            return True
        begin = processes.size_of(self.engine.log)
        if not self._becomes_ready(begin):
            # It was on its way out when it was found.
            self._launch(may_move=may_move)
            return True
        return False

    def end(self) -> None:
        """Raises EmbeddedServerError when the process outlives every signal."""
        for number, patience_s in self.engine.stop_signals:
            if not self.is_alive() or self.pid is None:
                break
            processes.send_signal(self.pid, number)
            if processes.wait_until(lambda: not self.is_alive(), patience_s):
                break
        else:
            raise EmbeddedServerError(f"{self.engine.name} (process {self.pid}) does not end; see {self.engine.log}")
        self.process = None
        self.pid = None
        self.owner.release()

    def _launch(self, *, may_move: bool) -> None:
        dies_by = self.engine.stop_signals[0][0] if self.die_with_parent else None
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            begin = processes.size_of(self.engine.log)
            with self.alive.hold(REMAINS_TIMEOUT_S, f"another {self.engine.name} uses the data of this home"):
                self.engine.prepare()
                command = self.engine.command()
                self.process = processes.launch(
                    command, self.places.account, self.engine.log, alive=self.alive, dies_by=dies_by
                )
                self.pid = self.process.pid
            if self._becomes_ready(begin):
                return
            said = processes.read_from(self.engine.log, begin)
            in_use = "Address already in use" in said
            if time.monotonic() > deadline or not (in_use or self.engine.will_pass(said)):
                raise processes.failure(f"{self.engine.name} ended at its start", self.engine.log, begin)
            if in_use and may_move:
                self.engine.move()
            time.sleep(RETRY_INTERVAL_S)

    def _becomes_ready(self, begin: int) -> bool:
        """Wait until the server serves; False when its process ended instead."""
        begun = last_sign = time.monotonic()
        while self.is_alive():
            answer = self.engine.ask()
            now = time.monotonic()
            if answer is Answer.READY:
                return True
            if answer is Answer.STARTING:
                last_sign = now
            if now - last_sign > START_TIMEOUT_S or now - begun > RECOVERY_TIMEOUT_S:
                raise processes.failure(f"{self.engine.name} does not answer", self.engine.log, begin)
            if self.stopping.wait(processes.POLL_INTERVAL_S):
                raise EmbeddedServerError(f"{self.engine.name} was stopped while it started")
        return False
