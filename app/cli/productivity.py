"""``keyhouse spend productivity``: what coding sessions cost beside what was done in them."""

from typing import Any

import click

from app.base.clock import now
from app.cli.client import call
from app.cli.days import DAY
from app.cli.tables import Column, terminal_width, write_table
from app.settings import environment, load_settings

_OWNERS = {
    "organization": "organization_id",
    "team": "team_id",
    "user": "user_id",
    "key": "key_id",
    "project_id": "project_id",
}
_AMOUNTS = (
    Column("sessions", "sessions", lesser=True),
    Column("commits", "commits"),
    Column("PRs", "pull_requests"),
    Column("added", "lines_added"),
    Column("removed", "lines_removed"),
    Column("accepted", "edits_accepted", lesser=True),
    Column("rejected", "edits_rejected", lesser=True),
    Column("active (s)", "active_seconds", lesser=True),
    Column("cost (USD)", "cost"),
    Column("a commit", "cost_per_commit"),
    Column("a PR", "cost_per_pull_request"),
)


@click.command("productivity")
@click.option(
    "--by", "group_by", default="team", show_default=True, help=f"Comma separated: {', '.join(_OWNERS)}, day."
)
@click.option(
    "--from", "start_date", type=DAY, help="The first day (UTC), YYYY-MM-DD; the 1st of this month unless set."
)
@click.option("--to", "end_date", type=DAY, help="The last day, included; today unless set.")
@click.option("--interval", type=click.Choice(["day", "week", "month"]), help="One row for each of them.")
@click.option("--format", "style", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--organization", "organization_id", help="Only these ids, separated by commas.")
@click.option("--team", "team_id", help="Only these.")
@click.option("--user", "user_id", help="Only these.")
@click.option("--key", "key_id", help="Only this one.")
@click.option("--project", "project_id", help="Only these ids of projects.")
def productivity(style: str, as_json: bool, **words: Any) -> None:  # noqa: ANN401, FBT001  click gives them
    """What coding sessions cost, and the commits, pull requests and lines that clients tell of.

    Example: keyhouse spend productivity --by team,user --from 2026-11-01
    """
    today = now().date()
    days = {"start_date": str(today.replace(day=1)), "end_date": str(today)}
    query = {**days, **{name: text for name, text in words.items() if text is not None}}
    style = "json" if as_json else style
    answer = call(
        load_settings(environment(), {}),
        "GET",
        "/spend/productivity",
        {**query, "format": "csv" if style == "csv" else "json"},
    )
    if style != "table":
        click.echo(answer.text.replace("\r\n", "\n"), nl=style == "json")
        return
    found = answer.value
    rows = [
        {
            **row,
            **{one: row[f"{one.removesuffix('_id')}_alias"] or row[_OWNERS[one]] or "-" for one in found["group_by"]},
        }
        for row in found["data"]
    ]
    groups = [Column(one, one, gives=True) for one in found["group_by"]]
    click.echo(write_table((Column("period", "period"), *groups, *_AMOUNTS), rows, terminal_width()))
