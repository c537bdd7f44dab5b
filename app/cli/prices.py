"""``keyhouse prices``: what models cost, what was set, and a public list of prices put in force after a look at it."""

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import click
import msgspec

from app.cli.client import call
from app.cli.fetching import read_source
from app.cli.groups import Group
from app.cli.tables import Column, terminal_width, write_table
from app.providers.litellm_prices import slimmed
from app.settings import environment, load_settings

_COLUMNS = (
    Column("PROVIDER", "provider"),
    Column("MODEL", "model", gives=True),
    Column("FROM", "effective_from"),
    Column("KIND", "kind", lesser=True),
    Column("ORGANIZATION", "organization_id", gives=True),
    Column("INPUT/M", "input"),
    Column("OUTPUT/M", "output"),
    Column("WITHDRAWN", "withdrawn", lesser=True),
    Column("PRICE", "price_id", lesser=True),
)
_HIDDEN = ("provider", "model", "deployment_id", "service_tiers", "terms", "charged")
_json = click.option("--json", "as_json", is_flag=True, help="The gateway's own answer.")


@click.group(cls=Group)
def prices() -> None:
    """What models cost, and from when on.

    Example: keyhouse prices show claude-sonnet-4-5
    """


@prices.command("list")
@click.option("--provider", help="Of this provider alone.")
@click.option("--model", help="Of this model alone, as the provider calls it.")
@click.option("--organization", help="Those of one organization.")
@click.option("--kind", type=click.Choice(["own", "imported"]), help="Set by an admin, or imported from a list.")
@_json
def list_prices(as_json: bool, organization: str | None, **wanted: str | None) -> None:  # noqa: FBT001  a flag
    """The dated prices that were set, newest first, a thousand at most; bundled ones are not among them.

    Example: keyhouse prices list --provider anthropic
    """
    asked = {**wanted, "organization_id": organization, "size": 1000}
    found = call(_settings(), "GET", "/price/list", asked)
    if as_json:
        click.echo(found.text)
        return
    rows = [row | {"input": _per_million(row, "input"), "output": _per_million(row, "output")} for row in found.value]
    click.echo(write_table(_COLUMNS, rows, terminal_width()))


@prices.command("show")
@click.argument("model")
@click.option("--provider", help="The provider, for a name that no client asks for.")
@click.option("--organization", help="As this organization is charged.")
@click.option("--at", help="At this instant (2026-12-01, or with a time); now unless set.")
@_json
def show(model: str, provider: str | None, organization: str | None, at: str | None, as_json: bool) -> None:  # noqa: FBT001
    """What MODEL costs, in dollars per unit, and where the price is from.

    Example: keyhouse prices show claude-sonnet-4-5 --at 2026-12-01
    """
    asked = {"model": model, "provider": provider, "organization_id": organization, "at": at}
    found = call(_settings(), "GET", "/price/info", asked)
    if as_json:
        click.echo(found.text)
        return
    for place in found.value["prices"]:
        click.echo(f"{place['provider']}/{place['model']}")
        terms = {name: value for name, value in place["terms"].items() if value}
        plain = {name: value for name, value in place.items() if name not in _HIDDEN} | terms
        tiers = {f"{name} tier, times": share for name, share in place["service_tiers"].items()}
        for name, value in {**plain, **tiers}.items():
            click.echo(f"  {name}: {_shown(value)}")


@prices.command("update")
@click.option("--from", "source", required=True, help="A file, or an http(s) address, of LiteLLM's list of prices.")
@click.option("--effective-from", help="From when on (2026-12-01, or with a time); now unless set.")
@click.option("--allow-large-changes", is_flag=True, help="Also prices that change tenfold, or become nothing.")
@click.option("--yes", is_flag=True, help="Do not ask after the differences were shown.")
def update(source: str, effective_from: str | None, allow_large_changes: bool, yes: bool) -> None:  # noqa: FBT001
    """Show what a public list says otherwise, and put it in force, in the place of the bundled prices.

    Prices that you have set yourself stay before it. The list is model_prices_and_context_window.json of LiteLLM, or
    one of its form.

    Example: keyhouse prices update --from model_prices_and_context_window.json
    """
    settings = _settings()
    asked = {"prices": _read(source, settings.allowed_upstreams), "effective_from": effective_from}
    changes = call(settings, "POST", "/price/import", asked | {"dry_run": True}).value["changes"]
    for change in changes:
        click.echo(_line(change))
    counts = Counter(change["change"] for change in changes)
    large = sum(bool(change["large"]) for change in changes)
    click.echo(
        f"{counts['added']} added, {counts['changed']} changed, {counts['removed']} no longer listed (they stay), "
        f"{large} large changes"
    )
    if not counts["added"] + counts["changed"]:
        return
    if large and not allow_large_changes:
        raise click.ClickException("look at the large changes above, and say --allow-large-changes to take them")
    if not yes:
        click.confirm("Put these prices in force?", abort=True)
    call(settings, "POST", "/price/import", asked | {"allow_large_changes": allow_large_changes})
    click.echo(f"{counts['added'] + counts['changed']} prices are in force from {effective_from or 'now'} on")


def _read(source: str, allowed: tuple[str, ...]) -> dict[str, Any]:
    try:
        listed = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode(read_source(source, allowed))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ArithmeticError) as error:
        raise click.ClickException(f'"{source}" is no list of prices by model in JSON: {error}') from error
    return slimmed(listed)


def _line(change: Mapping[str, Any]) -> str:
    """``~ anthropic/claude-x  input_cost_per_token 0.000003 → 0.000004``"""
    sign = {"added": "+", "changed": "~", "removed": "-"}[change["change"]]
    names = dict.fromkeys((*change["before"], *change["after"]))
    told = (
        f"{name} {_shown(change['before'].get(name, '—'))} → {_shown(change['after'].get(name, '—'))}" for name in names
    )
    warning = "  LARGE" if change["large"] else ""
    return f"{sign} {change['provider']}/{change['model']}  {', '.join(told)}{warning}"


def _shown(value: object) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _per_million(row: Mapping[str, Any], name: str) -> Decimal | None:
    """Dollars a million tokens, as price pages write it."""
    price = row.get(f"{name}_cost_per_token")
    return None if price is None else (Decimal(price) * 1_000_000).normalize() + 0


def _settings() -> Any:  # noqa: ANN401  Settings
    return load_settings(environment(), {})
