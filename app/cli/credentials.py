"""``keyhouse credentials``: what is kept encrypted, sealed anew under another key."""

import sys

import click

from app.cli.client import call
from app.cli.groups import Group
from app.settings import environment, load_settings


@click.group(cls=Group)
def credentials() -> None:
    """Care for the stored secrets of providers.

    Example: keyhouse credentials reseal --dry-run
    """


@credentials.command("reseal")
@click.option("--dry-run", is_flag=True, help="Tell only what would be done.")
def reseal(dry_run: bool) -> None:  # noqa: FBT001  click gives it
    """Seal all stored secrets anew under KEYHOUSE_CREDENTIAL_SECRET; exits with 1 when some could not be read.

    Example: keyhouse credentials reseal
    """
    settings = load_settings(environment(), {})
    method, path = ("GET", "/check") if dry_run else ("POST", "")
    done = call(settings, method, f"/credentials/migrate-encryption{path}", {}).value
    for kind, count in done["sealed_anew"].items():
        if count:
            click.echo(f"{kind}: {count} {'to be ' if dry_run else ''}sealed anew")
    already = sum(done["sealed_already"].values())
    click.echo(f"{already} {'was' if already == 1 else 'were'} under the present key ({done['key_id']}) already")
    for row in done["unreadable"]:
        click.echo(f"{row['kind']} {row['id']} is under a key that is not known here; it was left as it is", err=True)
    if done["unreadable"]:
        sys.exit(1)
