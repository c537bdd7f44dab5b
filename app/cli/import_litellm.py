"""``keyhouse import litellm``: organizations, teams, people, budgets, keys and their spend out of a LiteLLM proxy."""

import asyncio
from datetime import timedelta
from typing import Any

import click

from app.admin.litellm import rows as tables
from app.base.clock import now
from app.cli.client import call
from app.cli.groups import Group
from app.cli.litellm_api import LiteLLMApi
from app.settings import environment, load_settings
from app.storage.postgres.litellm_source import LiteLLMDatabase, read_database

_DAYS_BY_THEMSELVES = 92  # windows of budgets up to a quarter find their days
_TIMEOUT_S = 600
_MOST_NAMES = 5
_SPENT_OUTSIDE_OF_DAYS = "no daily sums: what each key spent is booked as one amount, today"


@click.group("import", cls=Group)
def import_from() -> None:
    """Take over from another gateway.

    Example: keyhouse import litellm --database-url postgresql://litellm@db/litellm --dry-run
    """


@import_from.command("litellm")
@click.option("--database-url", help="LiteLLM's database, as its DATABASE_URL has it; it is only read.")
@click.option("--url", help="Or the address of the running proxy, where the database cannot be reached.")
@click.option("--key", help="With --url: its master key.")
@click.option("--dry-run", is_flag=True, help="Show what would be made, and make nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the API's own JSON.")
def litellm(database_url: str | None, url: str | None, key: str | None, dry_run: bool, as_json: bool) -> None:  # noqa: FBT001
    """Take over from a LiteLLM proxy: developers keep the keys that they have.

    What is there already stays as it is, so it may be said again. All is made in one transaction, or nothing.

    Example: keyhouse import litellm --database-url postgresql://litellm@db/litellm --dry-run
    """
    if (database_url is None) == (url is None) or (url is None) != (key is None):
        raise click.UsageError("give --database-url, or --url with --key")
    content, notes = _from_database(database_url) if database_url else _from_proxy(str(url), str(key))
    payload = {"dry_run": dry_run, "tables": content}
    settings = load_settings(environment(), {})
    answer = call(settings, "POST", "/import/litellm", payload, timeout_s=_TIMEOUT_S)
    click.echo(answer.text if as_json else _told(answer.value, notes))


def _from_database(url: str) -> tuple[dict[str, Any], list[str]]:
    recent = (now() - timedelta(days=_DAYS_BY_THEMSELVES)).date()
    found: LiteLLMDatabase = asyncio.run(read_database(url, tables.TABLES, {tables.DAILY_SPEND}, recent))
    notes = [f"{count} rows of {name}" for name, count in found.others.items()]
    if tables.DAILY_SPEND not in found.tables:
        notes.append(_SPENT_OUTSIDE_OF_DAYS)
    return found.tables, notes


def _from_proxy(url: str, key: str) -> tuple[dict[str, Any], list[str]]:
    proxy = LiteLLMApi(url, key)
    content = proxy.read()
    return content, [_SPENT_OUTSIDE_OF_DAYS, *(f"{what} would not be told" for what in proxy.left)]


def _told(plan: dict[str, Any], notes: list[str]) -> str:
    kinds = list(dict.fromkeys((*plan["made"], *plan["there"])))
    verb = "to make" if plan["dry_run"] else "made"
    lines = [f"{verb:>8}   there"]
    lines += [f"{plan['made'].get(kind, 0):>8}{plan['there'].get(kind, 0):>8}   {kind}" for kind in kinds]
    lines.append(f"{plan['receipts']:>8}           receipts of {plan['spend']:f} USD")
    left = [f"  {one['count']} × {one['what']}: {_names(one)}" for one in plan["left"]]
    left += [f"  {note}" for note in notes]
    if left:
        lines += ["", "not carried over", *left]
    if plan["dry_run"]:
        lines += ["", "nothing was changed; say it again without --dry-run"]
    return "\n".join(lines)


def _names(left: dict[str, Any]) -> str:
    more = left["count"] - _MOST_NAMES
    return ", ".join(left["names"][:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
