"""``keyhouse spend report``: the report of any grouping, as a table, CSV or JSON, however many pages it has."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import click
import msgspec

from app.base.clock import now
from app.cli.client import Answer, call
from app.cli.days import DAY
from app.cli.tables import Column, terminal_width, write_table
from app.settings import environment, load_settings

_ROWS_AT_ONCE = 10_000
_NAMED = ("organization", "team", "user", "key", "customer")
_FIELDS = {
    "organization": "organization_id",
    "team": "team_id",
    "user": "user_id",
    "key": "key_id",
    "customer": "customer_id",
    "tag": "tag",
    "model": "model_served",
    "provider": "provider",
    "project": "project",
    "project_id": "project_id",
    "model_asked": "model_asked",
    "request_class": "request_class",
    "session": "session_id",
    "agent": "agent_id",
    "kind": "kind",
    "cost_center": "cost_center",
}
_AMOUNTS = (
    Column("requests", "requests"),
    Column("failures", "failures", lesser=True),
    Column("input", "input_tokens", lesser=True),
    Column("cached", "cache_read_tokens", lesser=True),
    Column("output", "output_tokens", lesser=True),
    Column("cost (USD)", "cost"),
)


class _Page(msgspec.Struct):
    group_by: list[str]
    timezone: str
    data: list[msgspec.Raw]
    next_cursor: str | None = None


@click.command("report")
@click.option(
    "--by",
    "group_by",
    help=f"Comma separated: {', '.join(_FIELDS)}.",
)
@click.option("--from", "start_date", type=DAY, help="The first day, as YYYY-MM-DD; the 1st of this month unless set.")
@click.option("--to", "end_date", type=DAY, help="The last day, included; today unless set.")
@click.option("--timezone", help="Whose days, such as Europe/Berlin; UTC unless set.")
@click.option("--interval", type=click.Choice(["hour", "day", "week", "month"]), help="One row for each of them.")
@click.option(
    "--format", "style", type=click.Choice(["table", "csv", "json", "focus"]), default="table", show_default=True
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--organization", help="Only these ids, separated by commas.")
@click.option("--team", help="Only these.")
@click.option("--user", help="Only these.")
@click.option("--key", help="Only these.")
@click.option("--customer", help="Only these.")
@click.option("--tag", help="Only these.")
@click.option("--model", help="Only these, as they were served.")
@click.option("--provider", help="Only these.")
@click.option("--project", help="Only these, of keys or as calls named them.")
@click.option("--cost-center", "cost_center", help="Only what is charged to these.")
def report(style: str, as_json: bool, **words: Any) -> None:  # noqa: ANN401, FBT001  click gives them
    """What was spent, by whom and on what, with every digit.

    Example: keyhouse spend report --by team,model --from 2026-11-01 --to 2026-11-30 --timezone Europe/Berlin
    """
    today = now().date()
    query = {_FIELDS.get(word, word): text for word, text in words.items() if text is not None}
    query = {"start_date": str(_first_of_month(today)), "end_date": str(today), **query}
    if style in ("csv", "focus") and not as_json:
        _write_csv(query, style)
        return
    pages = [msgspec.json.decode(answer.text, type=_Page) for answer in _pages(query, "json")]
    whole = _Page(pages[0].group_by, pages[0].timezone, [row for page in pages for row in page.data])
    if as_json or style == "json":
        click.echo(msgspec.json.encode(whole).decode())
        return
    rows = Answer(msgspec.json.encode(whole.data).decode()).value
    click.echo(write_table(_columns(whole.group_by), [_with_names(row) for row in rows], terminal_width()))
    click.echo(f"{sum(row['cost'] for row in rows):f} USD" if "tag" not in whole.group_by else f"{len(rows)} rows")


def _write_csv(query: Mapping[str, str], style: str) -> None:
    for number, answer in enumerate(_pages(query, style)):
        head, _, rest = answer.text.partition("\r\n")
        click.echo(rest if number else f"{head}\n{rest}".replace("\r\n", "\n"), nl=False)


def _pages(query: Mapping[str, str], style: str) -> Iterator[Answer]:
    settings = load_settings(environment(), {})
    cursor: str | None = None
    while True:
        answer = call(
            settings, "GET", "/spend/report", {**query, "format": style, "limit": _ROWS_AT_ONCE, "cursor": cursor}
        )
        yield answer
        cursor = answer.headers.get("x-next-cursor") if style != "json" else answer.value["next_cursor"]
        if cursor is None:
            return


def _columns(group_by: list[str]) -> list[Column]:
    names = [Column(name, name, gives=True) for name in group_by]
    return [Column("period", "period"), *names, *_AMOUNTS]


def _with_names(row: dict[str, Any]) -> dict[str, Any]:
    """A thing by its alias, or by its id where it has none; a dash for none."""
    for name, field in _FIELDS.items():
        if field in row:
            row[name] = row.get(f"{name}_alias") or row[field] or "-"
    return row


def _first_of_month(day: date) -> date:
    return day.replace(day=1)
