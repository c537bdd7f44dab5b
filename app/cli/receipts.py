"""``keyhouse spend export`` and ``retention``: receipts out to a file, and what becomes of them after their time."""

import hashlib
import zlib
from pathlib import Path

import click

from app.cli.client import call, download
from app.settings import environment, load_settings

_GZIP = 31  # zlib's word for a gzip file


@click.command("export")
@click.option("--month", required=True, help="As YYYY-MM; it must be over (UTC).")
@click.option("--format", "style", type=click.Choice(["jsonl", "csv"]), default="jsonl", show_default=True)
@click.option("--to", "target", type=click.Path(dir_okay=False, path_type=Path), help="The file; named by the month.")
def export(month: str, style: str, target: Path | None) -> None:
    """Write the receipts of a month into a gzip file, and check that it came whole.

    Example: keyhouse spend export --month 2026-10 --to october.jsonl.gz
    """
    settings = load_settings(environment(), {})
    path = target or Path(f"receipts-{month}.{style}.gz")
    partial = path.with_name(f"{path.name}.part")
    digest, unpacker = hashlib.sha256(), zlib.decompressobj(wbits=_GZIP)
    try:
        with partial.open("wb") as file:
            for piece in download(settings, "/spend/export", {"month": month, "format": style}):
                file.write(piece)
                digest.update(unpacker.decompress(piece))
        exports = call(settings, "GET", "/spend/exports", {}).value["exports"]
        noted = [one for one in exports if one["month"] == month and one["digest"] == digest.hexdigest()]
        if not noted or not unpacker.eof:
            raise click.ClickException("the file did not come whole; try again")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    click.echo(f"{path}  {noted[0]['receipts']} receipts  {noted[0]['spend']:f} USD  sha256:{digest.hexdigest()}")


@click.command("retention")
@click.option("--run", "is_run", is_flag=True, help="Drop now what may go.")
def retention(is_run: bool) -> None:  # noqa: FBT001  click gives it
    """Months whose receipts are older than they are kept, and why they cannot go yet.

    Example: keyhouse spend retention --run
    """
    settings = load_settings(environment(), {})
    if is_run:
        for one in call(settings, "POST", "/spend/retention", {}).value["dropped"]:
            click.echo(f"{one['month']}  {one['receipts']} receipts dropped")
    found = call(settings, "GET", "/spend/retention", {}).value
    click.echo(f"receipts are kept {found['receipts_retention'] or 'for ever'}; export {found['retention_export']}")
    for one in found["due"]:
        click.echo(f"{one['month']}  {one['receipts']} receipts  {one['obstacle'] or 'may go'}")
