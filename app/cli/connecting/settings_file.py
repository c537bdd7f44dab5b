"""The settings file of Claude Code: our variables merged in, everything else kept, the old file beside it."""

import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import msgspec

from app.domain.client_setups import CUSTOM_HEADERS

# Each of these takes the place of the key that we write, or sends Claude Code past the gateway.
_IN_THE_WAY = {
    "forceLoginMethod": "it makes Claude Code ask for a sign-in and refuse the gateway's key",
    "forceLoginOrgUUID": "it makes Claude Code ask for a sign-in and refuse the gateway's key",
    "apiKeyHelper": "its output is sent beside the key",
}
_VARIABLES_IN_THE_WAY = {
    "ANTHROPIC_API_KEY": "Claude Code sends it beside ANTHROPIC_AUTH_TOKEN",
    "CLAUDE_CODE_USE_BEDROCK": "Claude Code then goes to Bedrock, not to the gateway",
    "CLAUDE_CODE_USE_VERTEX": "Claude Code then goes to Vertex, not to the gateway",
    "CLAUDE_CODE_USE_FOUNDRY": "Claude Code then goes to Foundry, not to the gateway",
}
_LOGINS_IN_THE_WAY = {"apiKeyHelper": "its output is sent in the place of your login"}
_TOKENS_IN_THE_WAY = {
    "ANTHROPIC_AUTH_TOKEN": "Claude Code sends it in the place of your login; take it out",
    "ANTHROPIC_API_KEY": "Claude Code sends it in the place of your login; take it out",
    "CLAUDE_CODE_USE_GATEWAY": "Claude Code then signs in at the gateway, not at Anthropic",
}


@dataclass(frozen=True, slots=True)
class Merged:
    """``changed``: name, value before (None where there was none). ``backup`` is None where nothing was there."""

    path: Path
    changed: tuple[tuple[str, str | None], ...]
    backup: Path | None


def settings_path(environment: Mapping[str, str]) -> Path:
    """Of the person: in CLAUDE_CONFIG_DIR, else in ~/.claude."""
    folder = environment.get("CLAUDE_CONFIG_DIR", "").strip()
    return (Path(folder) if folder else Path.home() / ".claude") / "settings.json"


def merge(path: Path, variables: Mapping[str, str]) -> Merged:
    """Set ``env`` of the file; a file that is no JSON object is left alone. Raises ClickException."""
    settings = read(path)
    env = settings.get("env", {})
    if not isinstance(env, dict):
        raise click.ClickException(f'"env" in {path} is no object; mend it, then run this again')
    if CUSTOM_HEADERS in variables and isinstance(env.get(CUSTOM_HEADERS), str):
        headers = _with_header(env[CUSTOM_HEADERS], variables[CUSTOM_HEADERS])
        variables = {**variables, CUSTOM_HEADERS: headers}
    changed = tuple((name, env.get(name)) for name, value in variables.items() if env.get(name) != value)
    if not changed:
        return Merged(path, (), None)
    backup = None
    if path.exists():
        backup = path.with_name(f"{path.name}.backup-{time.strftime('%Y%m%d-%H%M%S')}")
        shutil.copy2(path, backup)
    _write(path, {**settings, "env": {**env, **variables}})
    return Merged(path, changed, backup)


def _with_header(lines: str, ours: str) -> str:
    """The headers that are there, ours in the place of one of the same name."""
    name = _header_name(ours)
    return "\n".join([*(line for line in lines.splitlines() if line.strip() and _header_name(line) != name), ours])


def _header_name(line: str) -> str:
    return line.partition(":")[0].strip().lower()


def read(path: Path) -> dict[str, Any]:
    """An empty one where there is no file. Raises ClickException for what is no JSON object."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, Any]) if text.strip() else {}
    except msgspec.DecodeError as error:
        raise click.ClickException(f"{path} is no JSON object ({error}); it was left as it is") from error


def obstacles(settings: Mapping[str, Any], environment: Mapping[str, str], *, own_login: bool = False) -> list[str]:
    """What stands there or in the environment and keeps Claude Code from the gateway, in words; with ``own_login``
    what keeps it from the login."""
    in_the_way = _LOGINS_IN_THE_WAY if own_login else _IN_THE_WAY
    found = [f"{name} is set in the settings: {why}" for name, why in in_the_way.items() if settings.get(name)]
    env = settings.get("env")
    variables = _VARIABLES_IN_THE_WAY | (_TOKENS_IN_THE_WAY if own_login else {})
    for name, why in variables.items():
        if isinstance(env, dict) and env.get(name):
            found.append(f'{name} is set in the settings\' "env": {why}')
        elif environment.get(name):
            found.append(f"{name} is set in this shell: {why}")
    return found


def _write(path: Path, settings: Mapping[str, Any]) -> None:
    """In one step, and readable by its owner alone: a key is in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = msgspec.json.format(msgspec.json.encode(settings), indent=2) + b"\n"
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f"{path.name}.", delete=False) as draft:
        draft.write(text)
    try:
        os.replace(draft.name, path.resolve())
    except OSError:
        Path(draft.name).unlink(missing_ok=True)
        raise
