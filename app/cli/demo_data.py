"""What ``serve --demo-data`` and ``demo-data`` have in common: the size, the filling, and whom one signs in as."""

import asyncio
import sys
from typing import TYPE_CHECKING

import click

from app.admin.demo_data.company import RECEIPTS
from app.cli.loading import without_collector
from app.settings import Settings

if TYPE_CHECKING:
    from app.admin.demo_data.filling import Filled

_MOST_RECEIPTS = 50_000_000
_LONG = 500_000

demo_receipts = click.option(
    "--demo-receipts",
    type=click.IntRange(1_000, _MOST_RECEIPTS),
    default=RECEIPTS,
    show_default=True,
    help="About how many calls the company of the demo data has made.",
)


def fill(settings: Settings, receipts: int) -> "Filled":
    """Raises Unprocessable for a database that holds other data."""
    if receipts >= _LONG:
        click.echo(f"filling in demo data, {receipts:,} receipts: about a minute for each million")
        sys.stdout.flush()
    return asyncio.run(_fill(settings, receipts))


def demo_lines(filled: "Filled") -> list[str]:
    what = "is there already" if filled.receipts is None else f"has {filled.receipts:,} receipts of sixty days"
    lines = [f"Demo data: Halden Instruments, a company that does not exist, {what}.", "Sign in at the pages as"]
    lines += [f"  {email:<28}  {title}" for title, email in filled.people.items()]
    return [*lines, f"with the password {filled.password}", ""]


async def _fill(settings: Settings, receipts: int) -> "Filled":
    with without_collector():
        from app.admin.demo_data.filling import DemoData
        from app.main import cipher_of
        from app.providers.price_book import PriceBook
        from app.providers.price_table import PRICES_FILE
        from app.storage.postgres.engine import create_engine
    assert settings.database_url is not None
    assert settings.secret is not None
    engine = create_engine(settings.database_url.reveal())
    try:
        book = PriceBook.load(settings.home / PRICES_FILE)
        return await DemoData(engine, settings.secret.reveal().encode(), cipher_of(settings), book).fill(receipts)
    finally:
        await engine.dispose()
