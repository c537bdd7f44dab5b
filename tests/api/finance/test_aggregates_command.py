"""``keyhouse spend``: the commands that compare and rebuild the sums go through all days, a week at a time."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from app.cli import spending as command
from app.cli.client import Answer


def day(number: int, *, agrees: bool) -> dict[str, Any]:
    amounts = {"spend_of_receipts": Decimal("0.000007"), "spend_of_reports": Decimal("0.000008")}
    return {"day": f"2026-11-{number:02}", "agrees": agrees, "receipts": 2, **amounts}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, Any]]:
    calls: list[tuple[str, str, Any]] = []

    def call(_: Any, method: str, path: str, payload: Any) -> Answer:
        calls.append((method, path, payload))
        value: Any = {"first_day": "2026-11-01", "last_day": "2026-11-09", "spend": Decimal("1.5")}
        if path.startswith("/spend/aggregates/"):
            value = {"days": [day(int(payload["start_date"][-2:]), agrees=payload["start_date"] != "2026-11-08")]}
        return Answer(msgspec.json.Encoder(decimal_format="number").encode(value).decode())

    monkeypatch.setattr(command, "call", call)
    monkeypatch.setattr(command, "_settings", lambda: None)
    return calls


def test_alone_it_says_what_was_spent(asked: list[tuple[str, str, Any]]) -> None:
    assert CliRunner().invoke(command.spend).output == "1.5\n"


def test_a_day_that_differs_is_named_and_is_the_exit_status(asked: list[tuple[str, str, Any]]) -> None:
    result = CliRunner().invoke(command.spend, ["check-aggregates"])
    assert result.output == "2026-11-08: receipts 0.000007, reports 0.000008\n1 day differs\n"
    assert result.exit_code == 1


def test_the_sums_of_all_days_are_rebuilt_or_of_those_named(asked: list[tuple[str, str, Any]]) -> None:
    result = CliRunner().invoke(command.spend, ["rebuild-aggregates"])
    assert (result.output, result.exit_code) == ("2 days, 4 receipts, 1 day differed\n", 0)
    weeks = [payload for method, _, payload in asked if method == "POST"]
    assert weeks == [
        {"start_date": "2026-11-01", "end_date": "2026-11-07"},
        {"start_date": "2026-11-08", "end_date": "2026-11-09"},
    ]
    CliRunner().invoke(command.spend, ["rebuild-aggregates", "--from", "2026-11-03", "--to", "2026-11-04"])
    assert asked[-1][2] == {"start_date": "2026-11-03", "end_date": "2026-11-04"}
