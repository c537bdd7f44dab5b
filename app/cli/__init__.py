"""The command line: ``keyhouse serve | migrate | keys | teams | spend | audit | doctor``."""

import sys

import click

from app.base.errors import GatewayError
from app.cli.audit import audit
from app.cli.doctor import doctor
from app.cli.keys import keys, teams
from app.cli.serve import migrate, serve
from app.cli.spending import spend
from app.embedded import EmbeddedServerError
from app.settings import SettingsError


class Commands(click.Group):
    """Turns our own errors into one line on standard error and exit status 1; click itself uses 2 for usage."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (SettingsError, EmbeddedServerError, GatewayError, OSError) as error:
            click.echo(f"keyhouse: {error}", err=True)
            sys.exit(1)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="keyhouse", prog_name="keyhouse")
def main() -> None:
    """Keyhouse: the LLM gateway that hands out keys and keeps the books.

    Example: keyhouse serve --port 4000
    """


for command in (serve, migrate, keys, teams, spend, audit, doctor):
    main.add_command(command)
