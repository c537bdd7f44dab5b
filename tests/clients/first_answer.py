"""From an empty machine to the first answer in Claude Code by the README alone, and how long that takes.

It needs the network, to install what ``make run`` installs, and Claude Code (``make test-clients`` has put it there).
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.clients.installed import CLAUDE_CODE, install
from tests.fakes.gateway_process import free_port

ROOT = Path(__file__).resolve().parents[2]
MOST_S = 300
_BLOCK = re.compile(r"^## (?P<section>[^\n]+)\n(?P<text>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_COMMANDS = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands_of(section: str, port: int) -> str:
    """The shell commands of one section of the README, at another port than the one it names."""
    sections = {match["section"]: match["text"] for match in _BLOCK.finditer((ROOT / "README.md").read_text())}
    return "\n".join(_COMMANDS.findall(sections[section])).replace(":4000", f":{port}")


def run(folder: Path, environment: dict[str, str], script: str) -> str:
    """Raises CalledProcessError."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=MOST_S,
    )
    if done.returncode:
        raise SystemExit(f"this failed:\n{script}\n{done.stdout}{done.stderr}")
    return done.stdout


def walk(folder: Path) -> None:
    """Every step of the README in an empty home, with what it says to copy copied."""
    port, home = free_port(), folder / "home"
    home.mkdir()
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True).stdout
    checkout = folder / "keyhouse"
    checkout.mkdir()
    subprocess.run(["tar", "-x"], cwd=checkout, input=archive, check=True)
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "LANG", "UV_"))}
    environment = {
        **kept,
        "HOME": str(home),
        "PATH": f"{CLAUDE_CODE.path.parent}:{os.environ['PATH']}",
        "KEYHOUSE_URL": f"http://127.0.0.1:{port}",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_AUTOUPDATER": "1",
    }
    make_run = commands_of("Start", port).splitlines()[0].partition("#")[0].strip()
    started_s = time.monotonic()
    with (folder / "serve.log").open("wb") as log:
        server = subprocess.Popen(
            ["bash", "-c", f'exec {make_run} ARGS="--port {port}"'],
            cwd=checkout,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        while not answers(port):
            if server.poll() is not None or time.monotonic() - started_s > MOST_S:
                raise SystemExit((folder / "serve.log").read_text())
            time.sleep(0.2)
        told("make run serves", started_s)
        exported, generate, *_ = re.split(r"\n(?=curl)", commands_of("Issue a key", port))
        answer = run(checkout, environment, f"{exported}\n{generate.partition('export KEY')[0]}")
        environment["KEY"] = json.loads(answer)["key"]
        told("a key is issued", started_s)
        connect, claude = commands_of("Claude Code", port).strip().splitlines()
        run(checkout, environment, connect.partition("#")[0])
        told("Claude Code is connected", started_s)
        said = run(home, environment, f"{claude} -p 'Hello, gateway'")
        told(f"Claude Code says: {said.strip().splitlines()[-1][:60]}", started_s)
        if "Hello, gateway" not in said or time.monotonic() - started_s > MOST_S:
            raise SystemExit(1)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=60)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def told(what: str, started_s: float) -> None:
    sys.stdout.write(f"{time.monotonic() - started_s:6.1f} s  {what}\n")
    sys.stdout.flush()


def main() -> None:
    install(CLAUDE_CODE)
    with tempfile.TemporaryDirectory(prefix="keyhouse-first-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o711)
        walk(Path(folder))


if __name__ == "__main__":
    main()
