"""``keyhouse keys`` and ``keyhouse teams``: the admin API from a terminal."""

from decimal import Decimal, InvalidOperation
from typing import Any

import click
import msgspec

from app.cli.client import call
from app.settings import environment, load_settings

_as_json = click.option("--json", "as_json", is_flag=True, help="Print the API's own JSON.")


@click.group()
def keys() -> None:
    """Issue, list, block and delete virtual keys of the running gateway.

    Example: keyhouse keys create --alias laptop --max-budget 25 --budget-duration 30d
    """


@keys.command("create")
@click.option("--alias", "key_alias", help="A name for people.")
@click.option("--models", help="Comma separated; every model unless set.")
@click.option("--team", "team_id", help="The id of its team.")
@click.option("--user", "user_id", help="The id of its owner.")
@click.option("--max-budget", help="Dollars.")
@click.option("--budget-duration", help="Such as 1d, 7d or 30d; without one the budget never resets.")
@click.option("--rpm", "rpm_limit", type=int, help="Requests per minute.")
@click.option("--tpm", "tpm_limit", type=int, help="Tokens per minute.")
@click.option("--max-parallel", "max_parallel_requests", type=int, help="Requests at once.")
@click.option("--duration", help="How long it lives, such as 90d; for ever unless set.")
@_as_json
def create(as_json: bool, models: str | None, max_budget: str | None, **fields: Any) -> None:  # noqa: ANN401, FBT001
    """Issue a key; it is shown this once.

    Example: keyhouse keys create --models claude-sonnet-4-5 --duration 90d
    """
    payload = {name: value for name, value in fields.items() if value is not None}
    if models:
        payload["models"] = [name.strip() for name in models.split(",") if name.strip()]
    if max_budget is not None:
        payload["max_budget"] = msgspec.Raw(str(_dollars(max_budget)).encode())
    answer = call(_settings(), "POST", "/key/generate", payload)
    click.echo(answer.text if as_json else answer.value["key"])


@keys.command("list")
@click.option("--team", "team_id", help="Only keys of this team.")
@click.option("--user", "user_id", help="Only keys of this owner.")
@click.option("--page", type=click.IntRange(1), default=1, show_default=True)
@_as_json
def list_keys(as_json: bool, **filters: Any) -> None:  # noqa: ANN401, FBT001  click gives them
    """Keys by id, name, spend and state.

    Example: keyhouse keys list --team team_01k...
    """
    answer = call(_settings(), "GET", "/key/list", {**filters, "size": 100, "return_full_object": "true"})
    if as_json:
        click.echo(answer.text)
        return
    rows = [
        (
            row["token"],
            row["key_name"],
            row["key_alias"] or "",
            row["team_id"] or "",
            f"{row['spend']:f}",
            row["status"],
        )
        for row in answer.value["keys"]
    ]
    _table(("id", "key", "alias", "team", "spend (USD)", "status"), rows)
    pages, count = max(1, answer.value["total_pages"]), answer.value["total_count"]
    click.echo(f"page {answer.value['current_page']} of {pages}, {count} keys")


def _simple(name: str, path: str, said: str) -> click.Command:
    @click.command(name, help=f"{said}\n\nExample: keyhouse keys {name} key_01k...")
    @click.argument("key")
    def command(key: str) -> None:
        payload = {"keys": [key]} if name == "delete" else {"key": key}
        answer = call(_settings(), "POST", path, payload)
        click.echo(answer.value["key"] if name == "regenerate" else f"{key}: done")

    return command


for _name, _path, _said in (
    ("block", "/key/block", "Refuse a key at once, everywhere."),
    ("unblock", "/key/unblock", "Accept a blocked key again."),
    ("delete", "/key/delete", "Delete a key for good; its receipts stay."),
    ("regenerate", "/key/regenerate", "Replace the secret of a key; the new one is shown this once."),
):
    keys.add_command(_simple(_name, _path, _said))


@click.group()
def teams() -> None:
    """Make and list teams.

    Example: keyhouse teams create research
    """


@teams.command("create")
@click.argument("alias")
@click.option("--models", help="Comma separated; every model unless set.")
def create_team(alias: str, models: str | None) -> None:
    """Make a team; prints its id.

    Example: keyhouse teams create research --models claude-sonnet-4-5,claude-haiku-4-5
    """
    names = [name.strip() for name in (models or "").split(",") if name.strip()]
    click.echo(call(_settings(), "POST", "/team/new", {"team_alias": alias, "models": names}).value["team_id"])


@teams.command("list")
@_as_json
def list_teams(as_json: bool) -> None:  # noqa: FBT001  click gives it
    """Teams by id and name.

    Example: keyhouse teams list
    """
    answer = call(_settings(), "GET", "/team/list", {})
    if as_json:
        click.echo(answer.text)
        return
    _table(("id", "alias"), [(row["team_id"], row["team_alias"] or "") for row in answer.value])


def _dollars(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation as error:
        raise click.BadParameter(f'"{text}" is not an amount in dollars', param_hint="--max-budget") from error
    if not amount.is_finite():
        raise click.BadParameter(f'"{text}" is not an amount in dollars', param_hint="--max-budget")
    return amount


def _settings() -> Any:  # noqa: ANN401  Settings
    return load_settings(environment(), {})


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    texts = [head, *[tuple(str(cell) for cell in row) for row in rows]]
    widths = [max(len(row[column]) for row in texts) for column in range(len(head))]
    for row in texts:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
