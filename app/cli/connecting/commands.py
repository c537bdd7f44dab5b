"""``keyhouse claude`` and ``keyhouse connect``: print, write and check what a developer's client needs."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from app.cli.client import call
from app.cli.connecting import settings_file
from app.cli.connecting.chain import PROTOCOLS, Protocol, examine
from app.cli.connecting.gateway import Gateway, Unreachable, ask, find_gateway
from app.domain.client_setups import CLIENTS, CUSTOM_HEADERS, NO_KEY, Client, Wish, claude_code_environment
from app.settings import environment, load_settings

_url = click.option("--url", help="The gateway; KEYHOUSE_URL, or the one of this machine, unless given.")
_key = click.option("--key", help="A virtual key; KEYHOUSE_KEY or ANTHROPIC_AUTH_TOKEN unless given.")
_new_key = click.option("--new-key", metavar="NAME", help="Issue a key of this name first (needs the admin key).")
_model = click.option("--model", help="The model to use.")
_check = click.option("--check", is_flag=True, help="Try each link of the chain, and name the first that is broken.")


@click.command()
@_url
@_key
@_new_key
@_model
@click.option("--gateway-mode", is_flag=True, help="Our refusals alone, dollars in /usage; without a key, /login.")
@click.option("--telemetry", is_flag=True, help="Tell the gateway of commits, pull requests and lines.")
@click.option("--own-login", is_flag=True, help="Stay signed in at Anthropic; the key stands beside that login.")
@click.option("--write", is_flag=True, help="Merge it into Claude Code's settings file; the old one is kept beside it.")
@click.option("--settings", "path", type=click.Path(path_type=Path), help="Another settings file for --write.")
@_check
def claude(  # noqa: PLR0913  the options of a command
    model: str | None,
    path: Path | None,
    *,
    gateway_mode: bool,
    telemetry: bool,
    own_login: bool,
    write: bool,
    check: bool,
    **reach: str | None,
) -> None:
    """Point Claude Code at the gateway: print its variables, write them (--write), or try the chain (--check).

    Example: keyhouse claude --key sk-kh-… --write --check
    """
    if own_login and gateway_mode:
        raise click.UsageError("--own-login and --gateway-mode exclude each other: the latter has its own sign-in")
    gateway = _gateway(**reach)
    client = CLIENTS["claude-code"]
    target = path or settings_file.settings_path(environment())
    if write and not gateway.has_key:
        raise click.UsageError("--write needs a key: --key sk-kh-…, or --new-key NAME")
    if write or not check:
        wish = replace(
            _wish(gateway, client, model), gateway_mode=gateway_mode, telemetry=telemetry, own_login=own_login
        )
        if write:
            _write(target, claude_code_environment(wish))
        else:
            _print(client, wish)
    for obstacle in settings_file.obstacles(settings_file.read(target), environment(), own_login=own_login):
        click.echo(f"note    {obstacle}", err=True)
    if check:
        _examine(gateway, PROTOCOLS[client.speaks], model)


@click.command()
@click.argument("client_name", metavar="[CLIENT]", required=False, type=click.Choice(sorted(CLIENTS)))
@_url
@_key
@_new_key
@_model
@_check
def connect(client_name: str | None, model: str | None, *, check: bool, **reach: str | None) -> None:
    """Print what a client needs to use the gateway, or try the chain (--check). Without CLIENT: those we know.

    Example: keyhouse connect codex --key sk-kh-… --model gpt-5
    """
    if client_name is None:
        width = max(map(len, CLIENTS))
        for name, known in CLIENTS.items():
            click.echo(f"{name:{width}}  {known.title}")
        return
    client = CLIENTS[client_name]
    gateway = _gateway(**reach)
    if check:
        _examine(gateway, PROTOCOLS[client.speaks], model)
    else:
        _print(client, _wish(gateway, client, model))


def _gateway(url: str | None, key: str | None, new_key: str | None) -> Gateway:
    gateway = find_gateway(url, key)
    if new_key is None:
        return gateway
    if key is not None:
        raise click.UsageError("--key and --new-key exclude each other")
    issued = call(load_settings(environment(), {}), "POST", "/key/generate", {"key_alias": new_key}, gateway.url).value
    click.echo(f'note    issued the key "{new_key}", shown this once: {issued["key"]}', err=True)
    return Gateway(gateway.url, str(issued["key"]))


def _wish(gateway: Gateway, client: Client, model: str | None) -> Wish:
    """What the gateway tells of the key's models is taken in, where it answers."""
    models = _models(gateway)
    chosen = model or client.default_model
    serves_claude = models is None or any(str(entry["id"]).startswith("claude-") for entry in models)
    if not chosen and models and not serves_claude:
        chosen = str(models[0]["id"])
    about: dict[str, Any] = next((entry for entry in models or () if entry["id"] == chosen), {})
    return Wish(
        gateway.url,
        gateway.key,
        chosen,
        serves_claude=serves_claude,
        input_window=about.get("max_input_tokens"),
        output_window=about.get("max_tokens"),
    )


def _models(gateway: Gateway) -> list[dict[str, Any]] | None:
    """None where it cannot be asked: what is printed is right all the same."""
    if not gateway.has_key:
        return None
    try:
        reply = ask(gateway, "/v1/models?limit=1000", headers={"anthropic-version": "2023-06-01"})
        return list(reply.value["data"]) if reply.status == 200 else None
    except (Unreachable, ValueError, KeyError, TypeError):
        return None


def _print(client: Client, wish: Wish) -> None:
    for number, snippet in enumerate(client.setup(wish)):
        click.echo(("\n" if number else "") + f"# {snippet.where}")
        click.echo(snippet.text)
    for note in client.notes:
        click.echo(f"note    {note}", err=True)
    if wish.signs_in:
        click.echo("note    the gateway needs KEYHOUSE_CLAUDE_CODE_SIGN_IN=true; or give a key with --key", err=True)
    elif wish.key == NO_KEY:
        click.echo("note    put in a key: --key, --new-key NAME, or keyhouse keys create", err=True)


def _write(path: Path, variables: dict[str, str]) -> None:
    merged = settings_file.merge(path, variables)
    if not merged.changed:
        click.echo(f"{path} has all of it already")
        return
    for name, before in merged.changed:
        was = "" if before is None else f"   (was {_masked(name, before)})"
        click.echo(f"{name}={_masked(name, variables[name])}{was}")
    kept = f"; the old file is {merged.backup.name}" if merged.backup is not None else ""
    click.echo(f"written to {path}{kept}")


def _masked(name: str, value: str) -> str:
    secret = name.endswith(("_TOKEN", "_KEY")) or name == CUSTOM_HEADERS
    return f"…{value[-4:]}" if secret else value


def _examine(gateway: Gateway, protocol: Protocol, model: str | None) -> None:
    broken = False
    for link in examine(gateway, protocol, model):
        broken = not link.works
        click.echo(f"{'ok    ' if link.works else 'BROKEN'}  {link.name}: {link.said}")
        if link.then:
            click.echo(f"        {link.then}")
    if broken:
        sys.exit(1)
