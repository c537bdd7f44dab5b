"""``keyhouse spend reprice``: what the prices known now would have charged, as adjustments dated today."""

from collections import Counter
from datetime import timedelta
from decimal import Decimal
from typing import Any

import click

from app.cli.client import call
from app.cli.counting import counted
from app.settings import environment, load_settings

_DAY = click.DateTime(["%Y-%m-%d"])


@click.command("reprice")
@click.option("--from", "first", type=_DAY, required=True, help="The first day (UTC).")
@click.option("--to", "last", type=_DAY, required=True, help="The last day (UTC), included.")
@click.option("--model", help="Calls of this model alone, as asked for or as served.")
@click.option("--dry-run", is_flag=True, help="Tell what would be adjusted, and write nothing.")
def reprice(first: Any, last: Any, model: str | None, dry_run: bool) -> None:  # noqa: ANN401, FBT001  dates; a flag
    """Price the calls of these days anew. Receipts stay; what differs is booked as adjustments dated today.

    Example: keyhouse spend reprice --from 2026-11-01 --to 2026-11-30 --dry-run
    """
    settings = load_settings(environment(), {})
    counts: Counter[str] = Counter()
    by_model: dict[str, Decimal] = {}
    before = after = Decimal(0)
    day, end = first.date(), last.date()
    while day <= end:  # a day a request, so that each answer comes well within the client's patience
        payload = {"start_date": str(day), "end_date": str(day), "dry_run": dry_run}
        payload |= {} if model is None else {"model": model}
        for told in call(settings, "POST", "/spend/reprice", payload).value["days"]:
            counts.update({name: told[name] for name in ("receipts", "adjusted", "skipped")})
            before, after = before + told["spend_before"], after + told["spend_after"]
            for name, amount in told["by_model"].items():
                by_model[name] = by_model.get(name, Decimal(0)) + amount
        day += timedelta(days=1)
    for name in sorted(by_model):
        click.echo(f"{name}: {by_model[name]:+f}")
    done = "would be adjusted" if dry_run else "adjusted"
    click.echo(
        f"{counted(counts['receipts'], 'receipt')}, {counts['adjusted']} {done}, "
        f"{counts['skipped']} without a price now; {before:f} becomes {after:f} ({after - before:+f})"
    )
