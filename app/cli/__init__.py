"""The command line: serving, connecting clients, the nouns of the admin API, ``spend`` and ``audit``."""

import sys
from importlib import import_module
from types import ModuleType

import click

from app.base.errors import GatewayError
from app.cli.groups import Group
from app.cli.loading import without_collector
from app.embedded.errors import EmbeddedServerError
from app.settings.errors import SettingsError

# Name of the command: module, and what it is called there. A command is imported when it is asked for: those that only
# call a gateway start five times as fast without what it takes to be one.
_COMMANDS = {
    "serve": ("app.cli.serve", "serve"),
    "migrate": ("app.cli.serve", "migrate"),
    "demo-data": ("app.cli.serve", "demo_data"),
    "doctor": ("app.cli.doctor", "doctor"),
    "import": ("app.cli.import_litellm", "import_from"),
    "spend": ("app.cli.spending", "spend"),
    "prices": ("app.cli.prices", "prices"),
    "credentials": ("app.cli.credentials", "credentials"),
    "audit": ("app.cli.audit", "audit"),
    "conformance": ("app.cli.conformance.command", "conformance"),
    "claude": ("app.cli.connecting.commands", "claude"),
    "connect": ("app.cli.connecting.commands", "connect"),
}
_NOUNS = ("keys", "teams", "projects", "users", "organizations", "customers", "tags", "budgets", "models")


class Commands(Group):
    """Turns our own errors into one line on standard error and exit status 1; click itself uses 2 for usage."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  as click has it
        return sorted((*_COMMANDS, *_NOUNS))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name in _NOUNS:
            built: click.Command = _load("app.cli.nouns").find_noun(cmd_name)
            return built
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name]
        found: click.Command = getattr(_load(module), name)
        return found

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # click ends quietly: nobody reads any more
        except (SettingsError, EmbeddedServerError, GatewayError, OSError) as error:
            click.echo(f"keyhouse: {error}", err=True)
            sys.exit(1)


def _load(module: str) -> ModuleType:
    with without_collector():
        return import_module(module)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="keyhouse", prog_name="keyhouse")
def main() -> None:
    """Keyhouse: the LLM gateway that hands out keys and keeps the books.

    Example: keyhouse serve --port 4000
    """
