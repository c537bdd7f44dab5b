"""``keyhouse spend``: what was spent, and whether the sums behind the reports are what the receipts say."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import click

from app.cli.client import call
from app.cli.counting import counted
from app.cli.groups import Group
from app.cli.productivity import productivity
from app.cli.receipts import export, retention
from app.cli.repricing import reprice
from app.cli.sessions import sessions
from app.cli.spend_report import report
from app.settings import environment, load_settings

_DAYS_AT_ONCE = 7  # so that each answer comes well within the client's patience
_first = click.option("--from", "first", type=click.DateTime(["%Y-%m-%d"]), help="The first day (UTC); all unless set.")
_last = click.option("--to", "last", type=click.DateTime(["%Y-%m-%d"]), help="The last day (UTC); all unless set.")


@click.group(cls=Group, invoke_without_command=True)
@click.pass_context
def spend(context: click.Context) -> None:
    """What was spent in all, in dollars.

    Example: keyhouse spend
    """
    if context.invoked_subcommand is None:
        click.echo(f"{call(_settings(), 'GET', '/global/spend', {}).value['spend']:f}")


for command in (report, sessions, productivity, reprice, export, retention):
    spend.add_command(command)


@spend.command("check-aggregates")
@_first
@_last
@click.pass_context
def check_aggregates(context: click.Context, first: Any, last: Any) -> None:  # noqa: ANN401  dates or None
    """Compare the sums behind the reports with the receipts; exit status 1 where a day differs.

    Example: keyhouse spend check-aggregates --from 2026-11-01
    """
    wrong = [day for day in _ask("GET", "/spend/aggregates/check", first, last) if not day["agrees"]]
    for day in wrong:
        click.echo(f"{day['day']}: receipts {day['spend_of_receipts']:f}, reports {day['spend_of_reports']:f}")
    click.echo(f"{counted(len(wrong), 'day')} {'differs' if len(wrong) == 1 else 'differ'}")
    if wrong:
        context.exit(1)


@spend.command("rebuild-aggregates")
@_first
@_last
def rebuild_aggregates(first: Any, last: Any) -> None:  # noqa: ANN401
    """Write the sums behind the reports anew from the receipts; days whose receipts are gone stay as they are.

    Example: keyhouse spend rebuild-aggregates --from 2026-11-01 --to 2026-11-30
    """
    days = list(_ask("POST", "/spend/aggregates/rebuild", first, last))
    receipts = sum(day["receipts"] for day in days)
    differed = sum(not day["agrees"] for day in days)
    click.echo(f"{counted(len(days), 'day')}, {counted(receipts, 'receipt')}, {counted(differed, 'day')} differed")


@spend.command("close")
@click.argument("month")
def close(month: str) -> None:
    """Close a month (UTC), and those before it that are open: reports of it then say the same for ever.

    Example: keyhouse spend close 2026-10
    """
    closed = call(_settings(), "POST", "/spend/close", {"month": month}).value["closed"]
    for one in closed:
        click.echo(_line(one))
    if not closed:
        click.echo(f"{month} is closed already")


@spend.command("closes")
@click.option("--verify", is_flag=True, help="Add up each again and compare; exit status 1 where one differs.")
@click.pass_context
def closes(context: click.Context, verify: bool) -> None:  # noqa: FBT001  click gives it
    """The closed months, the latest first.

    Example: keyhouse spend closes --verify
    """
    changed = False
    closed = call(_settings(), "GET", "/spend/closes", {}).value["closes"]
    if not closed:
        click.echo("no month is closed yet; see keyhouse spend close --help", err=True)
    for one in closed:
        verdict = ""
        if verify:
            is_unchanged = call(_settings(), "GET", f"/spend/closes/{one['month']}", {}).value["is_unchanged"]
            verdict = "  unchanged" if is_unchanged else "  CHANGED"
            changed = changed or not is_unchanged
        click.echo(_line(one) + verdict)
    if changed:
        context.exit(1)


def _line(closed: Any) -> str:  # noqa: ANN401  JSON
    requests = counted(closed["requests"], "request")
    return f"{closed['month']}  {requests}  {closed['spend']:f} USD  sha256:{closed['digest']}"


def _ask(method: str, path: str, first: Any, last: Any) -> Iterator[Any]:  # noqa: ANN401
    settings = _settings()
    extent = call(settings, "GET", "/spend/aggregates", {}).value
    if extent["first_day"] is None:
        return
    start = first.date() if first else date.fromisoformat(extent["first_day"])
    end = last.date() if last else date.fromisoformat(extent["last_day"])
    while start <= end:
        until = min(start + timedelta(days=_DAYS_AT_ONCE - 1), end)
        yield from call(settings, method, path, {"start_date": str(start), "end_date": str(until)}).value["days"]
        start = until + timedelta(days=1)


def _settings() -> Any:  # noqa: ANN401  Settings
    return load_settings(environment(), {})
