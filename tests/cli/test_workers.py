"""Several workers: how long one may be silent before it is taken for dead, and killed."""

from pathlib import Path
from typing import Any

import pytest
import uvicorn

from app.cli import serve
from app.settings.loading import load_settings


def test_a_worker_has_a_minute_to_start_on_a_busy_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr(uvicorn, "run", lambda *_, **options: given.update(options))
    monkeypatch.setattr(serve, "export_environment", lambda *_: None)
    settings = load_settings({"KEYHOUSE_HOME": str(tmp_path), "KEYHOUSE_WORKERS": "2"}, {})
    serve._run(settings, None)
    assert given["workers"] == 2
    assert given["timeout_worker_healthcheck"] >= 60, "uvicorn kills whoever does not answer for 5 s, and starts anew"
