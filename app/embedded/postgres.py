"""The embedded Postgres: its data directory, its command line, and how to ask whether it serves."""

import os
import shutil
import signal
import sys
from pathlib import Path

from app.embedded import binaries, processes
from app.embedded.engine import Answer
from app.embedded.errors import EmbeddedServerError
from app.embedded.places import Places, keep_password, make_folder, write_private

ROLE = "keyhouse"


class Postgres:
    """Postgres on a TCP port of 127.0.0.1, with passwords checked by SCRAM and one role and database, `keyhouse`."""

    name = "postgres"
    # Fast shutdown; then immediate, which the next start recovers from.
    stop_signals: tuple[tuple[signal.Signals, float], ...] = (
        (signal.SIGINT, 30.0),
        (signal.SIGQUIT, 10.0),
        (signal.SIGKILL, 5.0),
    )

    def __init__(self, places: Places) -> None:
        self._places = places
        self._folder = places.data / "postgres"
        self._data = self._folder / "data"
        self._password_file = places.control / "postgres.password"
        self._port_file = places.control / "postgres.port"
        self._programs: Path | None = None
        self.log = places.log(self.name)

    @property
    def marker(self) -> str:
        return str(self._data)

    @property
    def url(self) -> str:
        password = self._password_file.read_text().strip()
        return f"postgresql://{ROLE}:{password}@127.0.0.1:{self._port()}/{ROLE}"

    def prepare(self) -> None:
        make_folder(self._folder, self._places.account)
        self._programs = binaries.find_postgres(self._places)
        if not self._data.exists():
            self._create_data(self._programs)
        elif not self._password_file.exists():
            raise EmbeddedServerError(
                f'"{self._data}" holds a database, but its password file "{self._password_file}" is gone: '
                f'bring it back, or remove "{self._data}" to begin with an empty database'
            )
        if not self._port_file.exists():
            self.move()
        self._disown_pid_file()

    def move(self) -> None:
        write_private(self._port_file, f"{processes.find_free_port()}\n", account=None)

    def command(self) -> list[str]:
        if self._programs is None:
            raise EmbeddedServerError("prepare() comes before command()")
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self._port()),
            "unix_socket_directories": "",
            "shared_buffers": "128MB",
            "max_connections": "100",
        }
        if sys.platform == "linux":
            # One call instead of an fsync of each file before the recovery from a crash.
            settings["recovery_init_sync_method"] = "syncfs"
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(self._programs / "postgres"), "-D", str(self._data), *options]

    def find_pid(self) -> int | None:
        pid = processes.read_pid(self._data / "postmaster.pid")
        return pid if pid is not None and processes.runs_with(pid, self.marker) else None

    def ask(self) -> Answer:
        """Read what the postmaster keeps in its own pid file, as pg_ctl does (line 8, once it listens)."""
        if self.find_pid() is None:
            return Answer.SILENT
        lines = (self._data / "postmaster.pid").read_text().splitlines()
        status = lines[7].strip() if len(lines) > 7 else ""
        return {"ready": Answer.READY, "starting": Answer.STARTING}.get(status, Answer.SILENT)

    def will_pass(self, said: str) -> bool:
        # Backends outlive a killed postmaster for a moment, and hold its memory until they notice.
        return "pre-existing shared memory block" in said

    def _port(self) -> int:
        return int(self._port_file.read_text())

    def _create_data(self, programs: Path) -> None:
        """Make the data directory under another name, so that what is found under the right one is whole."""
        account = self._places.account
        draft = self._folder / "data.new"
        password_file = self._folder / "password"
        shutil.rmtree(draft, ignore_errors=True)
        write_private(password_file, keep_password(self._password_file), account)
        try:
            processes.run(
                [
                    str(programs / "initdb"),
                    f"--pgdata={draft}",
                    f"--username={ROLE}",
                    "--auth=scram-sha-256",
                    f"--pwfile={password_file}",
                    "--encoding=UTF8",
                    "--locale=C",
                    "--locale-provider=builtin",
                    "--builtin-locale=C.UTF-8",
                    "--no-sync",
                ],
                account,
                self.log,
            )
        finally:
            password_file.unlink()
        processes.run(
            [str(programs / "postgres"), "--single", "-D", str(draft), "-c", "exit_on_error=on", "postgres"],
            account,
            self.log,
            given=f"CREATE DATABASE {ROLE} OWNER {ROLE}\n",
        )
        draft.rename(self._data)

    def _disown_pid_file(self) -> None:
        """Make a pid file that names somebody else's live process look like that of a dead server.

        Postgres refuses to start while the process in its pid file lives, except when it is its own parent. The
        rest of the file stays: by it Postgres makes sure that no backend of the former server is left.
        """
        path = self._data / "postmaster.pid"
        if self.find_pid() is not None or not path.exists():
            return
        _, *rest = path.read_text().split("\n")
        write_private(path, "\n".join([str(os.getpid()), *rest]), self._places.account)
