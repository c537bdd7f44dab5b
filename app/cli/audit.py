"""``keyhouse audit``: who changed what, and whether the trail of it is whole."""

import sys
from typing import Any

import click

from app.cli.client import call
from app.cli.counting import counted
from app.cli.days import DAY
from app.cli.groups import Group
from app.settings import environment, load_settings


@click.group(cls=Group)
def audit() -> None:
    """Read the audit trail of the running gateway, and check its chain.

    Example: keyhouse audit verify
    """


@audit.command("list")
@click.option("--object-type", help="Only of this kind: key, team, user, organization, customer, budget.")
@click.option("--object-id", help="Only of this thing.")
@click.option("--actor", help="Only by this person or key; the master key is default_user_id.")
@click.option("--from", "start_date", type=DAY, help="The first day, as YYYY-MM-DD.")
@click.option("--to", "end_date", type=DAY, help="The last day, included.")
@click.option("--page", type=click.IntRange(1), default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the API's own JSON.")
def list_rows(as_json: bool, **filters: Any) -> None:  # noqa: ANN401, FBT001  click gives them
    """Changes, newest first.

    Example: keyhouse audit list --object-type key --from 2026-11-01
    """
    answer = call(load_settings(environment(), {}), "GET", "/audit", {**filters, "page_size": 100})
    if as_json:
        click.echo(answer.text)
        return
    for row in answer.value["audit_logs"]:
        place = "-" if row["sequence"] is None else row["sequence"]
        by = row["actor"] if row["changed_by"] == row["actor"] else f"{row['actor']} for {row['changed_by']}"
        click.echo(f"{place}  {row['updated_at']}  {row['action']}  {row['object_id']}  by {by}")
    pages = max(1, answer.value["total_pages"])
    click.echo(f"page {answer.value['page']} of {pages}, {counted(answer.value['total'], 'change')}")


@audit.command("verify")
def verify() -> None:
    """Check that no row was edited, removed or swapped; says which and exits 1 when one was.

    Example: keyhouse audit verify
    """
    verdict = call(load_settings(environment(), {}), "GET", "/audit/verify", {}).value
    for fault in verdict["faults"]:
        name = "" if fault["id"] is None else f" ({fault['id']})"
        click.echo(f"row {fault['sequence']}{name} {fault['reason']}", err=True)
    head = verdict["head"]
    older = f"; {verdict['unchained']} rows are older than the chain" if verdict["unchained"] else ""
    click.echo(f"{verdict['checked']} rows checked, the last is {head['sequence']} with hash {head['hash']}{older}")
    if not verdict["whole"]:
        sys.exit(1)
