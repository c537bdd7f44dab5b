"""The embedded Valkey: its configuration, and how to ask whether it serves."""

import re
import signal
import socket
from pathlib import Path
from urllib.parse import quote

from app.embedded import binaries, processes
from app.embedded.engine import Answer
from app.embedded.errors import EmbeddedServerError
from app.embedded.places import Places, keep_password, make_folder, write_private

# The kernel allows 107 bytes on Linux and 103 on macOS.
SOCKET_PATH_LIMIT_BYTES = 100


class Valkey:
    """Valkey with an append-only file, on a unix socket, or on a port of 127.0.0.1 where the path is too long."""

    name = "valkey"
    stop_signals: tuple[tuple[signal.Signals, float], ...] = ((signal.SIGTERM, 15.0), (signal.SIGKILL, 5.0))

    def __init__(self, places: Places) -> None:
        self._places = places
        self._data = places.data / "valkey"
        self._settings_file = self._data / "valkey.conf"
        self._pid_file = self._data / "valkey.pid"
        self._socket = self._data / "valkey.sock"
        self._on_socket = len(str(self._socket).encode()) < SOCKET_PATH_LIMIT_BYTES
        self._password_file = places.control / "valkey.password"
        self._port_file = places.control / "valkey.port"
        self._program: Path | None = None
        self.log = places.log(self.name)

    @property
    def marker(self) -> str:
        return str(self._settings_file)

    @property
    def url(self) -> str:
        if self._on_socket:
            return f"unix://:{self._password()}@{quote(str(self._socket))}?db=0"
        return f"redis://:{self._password()}@127.0.0.1:{self._port()}/0"

    def prepare(self) -> None:
        make_folder(self._data, self._places.account)
        self._program = binaries.find_valkey(self._places)
        keep_password(self._password_file)
        if not self._on_socket and not self._port_file.exists():
            self.move()

    def move(self) -> None:
        write_private(self._port_file, f"{processes.find_free_port()}\n", account=None)

    def command(self) -> list[str]:
        if self._program is None:
            raise EmbeddedServerError("prepare() comes before command()")
        write_private(self._settings_file, self._render_settings(), self._places.account)
        return [str(self._program), str(self._settings_file)]

    def _render_settings(self) -> str:
        settings = {
            "dir": _quoted(self._data),
            "pidfile": _quoted(self._pid_file),
            "requirepass": self._password(),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": '""',
            "maxmemory-policy": "noeviction",
            "latency-tracking": "no",  # a histogram entry for every step of every script
            "set-proc-title": "no",  # the argument that names the home must stay to be seen
        }
        if self._on_socket:
            settings |= {"port": "0", "unixsocket": _quoted(self._socket), "unixsocketperm": "700"}
        else:
            settings |= {"port": str(self._port()), "bind": "127.0.0.1"}
        return "".join(f"{name} {value}\n" for name, value in settings.items())

    def find_pid(self) -> int | None:
        pid = processes.read_pid(self._pid_file)
        return pid if pid is not None and processes.runs_with(pid, self.marker) else None

    def ask(self) -> Answer:
        """Sign in and compare the answering process with the one in the pid file.

        Raises EmbeddedServerError when the password is refused.
        """
        try:
            with self._connect() as connection:
                connection.sendall(f"AUTH {self._password()}\r\nINFO server persistence\r\n".encode())
                answer = self._read(connection)
        except OSError:
            return Answer.SILENT
        if b"WRONGPASS" in answer:
            raise EmbeddedServerError(
                f'Valkey in "{self._data}" runs with another password than "{self._password_file}" says: '
                f"end process {self.find_pid()} and start again"
            )
        pid = re.search(rb"process_id:(\d+)", answer)
        if pid is None or int(pid[1]) != self.find_pid():
            return Answer.SILENT
        return Answer.STARTING if b"\nloading:1" in answer else Answer.READY

    def will_pass(self, said: str) -> bool:  # noqa: ARG002
        return False

    def _connect(self) -> socket.socket:
        if not self._on_socket:
            return socket.create_connection(("127.0.0.1", self._port()), timeout=2.0)
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(2.0)
        try:
            connection.connect(str(self._socket))
        except OSError:
            connection.close()
            raise
        return connection

    @staticmethod
    def _read(connection: socket.socket) -> bytes:
        answer = b""
        while chunk := connection.recv(65_536):
            answer += chunk
            # The last line of the section that comes last, or an error.
            if (b"\nloading:" in answer and answer.endswith(b"\r\n")) or answer.startswith(b"-"):
                break
        return answer

    def _password(self) -> str:
        return self._password_file.read_text().strip()

    def _port(self) -> int:
        return int(self._port_file.read_text())


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
