"""What ``serve --demo-data`` and ``demo-data`` have in common: the size, the filling, and whom one signs in as."""

import asyncio
import sys

import click

from app.admin.demo_data.filling import RECEIPTS, DemoData, Filled
from app.main import cipher_of
from app.settings import Settings
from app.storage.postgres.engine import create_engine

_MOST_RECEIPTS = 50_000_000
_LONG = 500_000

demo_receipts = click.option(
    "--demo-receipts",
    type=click.IntRange(1_000, _MOST_RECEIPTS),
    default=RECEIPTS,
    show_default=True,
    help="About how many calls the company of the demo data has made.",
)


def fill(settings: Settings, receipts: int) -> Filled:
    """Raises Unprocessable for a database that holds other data."""
    if receipts >= _LONG:
        click.echo(f"filling in demo data, {receipts:,} receipts: about a minute for each million")
        sys.stdout.flush()
    return asyncio.run(_fill(settings, receipts))


def demo_lines(filled: Filled) -> list[str]:
    what = "is there already" if filled.receipts is None else f"has {filled.receipts:,} receipts of sixty days"
    lines = [f"Demo data: Halden Instruments, a company that does not exist, {what}.", "Sign in at the pages as"]
    lines += [f"  {email:<28}  {title}" for title, email in filled.people.items()]
    return [*lines, f"with the password {filled.password}", ""]


async def _fill(settings: Settings, receipts: int) -> Filled:
    assert settings.database_url is not None
    assert settings.secret is not None
    engine = create_engine(settings.database_url.reveal())
    try:
        return await DemoData(engine, settings.secret.reveal().encode(), cipher_of(settings)).fill(receipts)
    finally:
        await engine.dispose()
