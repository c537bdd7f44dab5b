"""A gateway as a newcomer starts it: its own process, found by its readiness, ended by its pid."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from app.providers.price_table import PRICES_FILE
from tests.fakes.prices import compiled_prices

MASTER_KEY = "sk-master-key-of-the-tests-0123456789"
START_TIMEOUT_S = 100.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class GatewayProcess:
    """``keyhouse serve`` on a free port; its log is kept in a file."""

    def __init__(self, home: Path, environment: dict[str, str], *arguments: str) -> None:
        self.home = home
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.log_path = home.parent / f"{home.name}.log"
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        self._environment = {
            **kept,
            "HOME": str(home.parent),
            "KEYHOUSE_HOME": str(home),
            "KEYHOUSE_MASTER_KEY": MASTER_KEY,
            "KEYHOUSE_SECRET": "pepper-of-the-tests",
            **environment,
        }
        self._arguments = arguments
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it is ready. Raises AssertionError with the log's end when it does not become so."""
        self._furnish()
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app.cli", "serve", "--port", str(self.port), *self._arguments],
                env=self._environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"{self.base_url}/health/readiness", timeout=2):
                    return
            except OSError:
                time.sleep(0.05)
        self.kill()
        raise AssertionError(f"the gateway did not become ready:\n{self.log()[-4000:]}")

    def _furnish(self) -> None:
        """A home beside given stores has its prices already; one of embedded servers is made by the first start."""
        if {"DATABASE_URL", "REDIS_URL"} <= self._environment.keys():
            self.home.mkdir(mode=0o700, exist_ok=True)
            (self.home / PRICES_FILE).write_bytes(compiled_prices())

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def stop(self) -> int:
        """SIGTERM, and wait for the clean end; its exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=40)

    def kill(self) -> None:
        """SIGKILL: nothing of it runs any more when this returns."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)  # several workers are processes of their own
            self.process.wait(timeout=10)


class Admin:
    """The admin's calls, with the master key."""

    def __init__(self, base_url: str) -> None:
        self.client = httpx.AsyncClient(
            base_url=base_url, headers={"Authorization": f"Bearer {MASTER_KEY}"}, timeout=30, trust_env=False
        )

    async def generate(self, **fields: Any) -> str:
        answer = await self.client.post("/key/generate", json=fields)
        assert answer.status_code == 200, answer.text
        key: str = answer.json()["key"]
        return key

    async def post(self, path: str, **fields: Any) -> httpx.Response:
        return await self.client.post(path, json=fields)

    async def receipts(self, key: str, count: int, timeout_s: float = 30.0) -> list[dict[str, Any]]:
        """The key's rows of /spend/logs, newest first, as soon as there are ``count``."""
        return await self.receipts_when(key, lambda rows: len(rows) >= count, timeout_s)

    async def receipts_until(self, key: str, request_id: str, timeout_s: float = 30.0) -> list[dict[str, Any]]:
        """The key's rows of /spend/logs, newest first, as soon as that request is among them."""
        return await self.receipts_when(
            key, lambda rows: any(row["request_id"] == request_id for row in rows), timeout_s
        )

    async def receipts_when(
        self, key: str, enough: Callable[[list[dict[str, Any]]], bool], timeout_s: float = 30.0
    ) -> list[dict[str, Any]]:
        """The key's rows of /spend/logs, newest first, as soon as they are enough, or the time is up."""
        deadline = time.monotonic() + timeout_s
        while True:
            answer = await self.client.get("/spend/logs", params={"api_key": key, "summarize": "false"})
            # 503 is right while a killed Postgres comes back.
            assert answer.status_code == 200 or (answer.status_code == 503 and time.monotonic() < deadline), answer.text
            rows: list[dict[str, Any]] = answer.json() if answer.status_code == 200 else []
            if enough(rows) or time.monotonic() > deadline:
                return rows
            await asyncio.sleep(0.05)
