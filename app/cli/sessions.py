"""``keyhouse spend sessions``: coding sessions as a table, or one of them as the tree of its agents and turns."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import click

from app.cli.client import call
from app.cli.days import DAY
from app.cli.tables import Column, terminal_width, write_table, write_value
from app.settings import environment, load_settings

_COLUMNS = (
    Column("session", "session_id"),
    Column("last call", "last_at"),
    Column("user", "user_ids", gives=True),
    Column("project", "projects", gives=True, lesser=True),
    Column("agents", "agents"),
    Column("requests", "requests"),
    Column("cached", "cache_hit_share", lesser=True),
    Column("models", "models", gives=True, lesser=True),
    Column("commits", "commits"),
    Column("PRs", "pull_requests", lesser=True),
    Column("added", "lines_added", lesser=True),
    Column("removed", "lines_removed", lesser=True),
    Column("cost (USD)", "cost"),
)


@click.command("sessions")
@click.argument("session_id", required=False)
@click.option("--user", "user_id", help="Only this user's.")
@click.option("--team", "team_id", help="Only this team's.")
@click.option("--key", "api_key", help="Only of this key.")
@click.option("--project", help="Only of this project.")
@click.option("--model", help="Only calls that this model served.")
@click.option("--from", "start_date", type=DAY, help="The first day, as YYYY-MM-DD.")
@click.option("--to", "end_date", type=DAY, help="The last day, included.")
@click.option("--sort-by", type=click.Choice(["last_activity", "cost"]), default="last_activity", show_default=True)
@click.option("--page-size", type=click.IntRange(1, 1000), default=50, show_default=True)
@click.option("--cursor", help="Go on where a page ended.")
@click.option("--json", "as_json", is_flag=True, help="The API's own answer.")
def sessions(session_id: str | None, as_json: bool, **words: Any) -> None:  # noqa: ANN401, FBT001  click gives them
    """Coding sessions; with SESSION_ID one of them, agent by agent and turn by turn.

    Example: keyhouse spend sessions --sort-by cost --from 2026-11-01
    """
    settings = load_settings(environment(), {})
    if session_id is not None:
        days = {name: words[name] for name in ("start_date", "end_date")}
        answer = call(settings, "GET", f"/spend/sessions/{quote(session_id, safe='')}", days)
        click.echo(answer.text if as_json else "\n".join(_tree(answer.value)))
        return
    answer = call(settings, "GET", "/spend/sessions", words)
    if as_json:
        click.echo(answer.text)
        return
    click.echo(write_table(_COLUMNS, answer.value["data"], terminal_width()))
    if answer.value["next_cursor"] is not None:
        click.echo(f"more with: --cursor {answer.value['next_cursor']}")


def _tree(session: Mapping[str, Any]) -> Iterator[str]:
    """``session … 1.25 USD``, and below it the main agent with its turns and agents, each a line."""
    yield f"session {write_value(session['session_id'])}  {_words(session)}"
    if any(session[name] for name in ("commits", "pull_requests", "lines_added", "lines_removed")):
        yield (
            f"commits: {session['commits']}, pull requests: {session['pull_requests']}, "
            f"lines added: {session['lines_added']}, removed: {session['lines_removed']}"
        )
    yield from _branches(session["agent"], "")


def _branches(agent: Mapping[str, Any], indent: str) -> Iterator[str]:
    turns = [(f"turn {write_value(turn['prompt_id']) or 'without an id'}", turn, None) for turn in agent["turns"]]
    below = [(_title(child), child, child) for child in agent["agents"]]
    found = [*turns, *below]
    for place, (title, part, child) in enumerate(found, 1):
        is_last = place == len(found)
        yield f"{indent}{'└─ ' if is_last else '├─ '}{title}  {_words(part)}"
        if child is not None:
            yield from _branches(child, indent + ("   " if is_last else "│  "))


def _title(agent: Mapping[str, Any]) -> str:
    kind = write_value(agent["agent_type"])
    return f"agent {write_value(agent['agent_id'])}" + (f" ({kind})" if kind else "")


def _words(part: Mapping[str, Any]) -> str:
    share = part["cache_hit_share"]
    cached = "" if share is None else f", {share:.0%} cached"
    prompt = sum(
        part[name] for name in ("input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens")
    )
    seconds = (part["elapsed_ms"] or 0) / 1000
    return (
        f"{part['cost']:f} USD, {part['requests']} requests, {prompt} in, {part['output_tokens']} out{cached}, "
        f"{seconds:.0f} s, {write_value(part['models'])}"
    )
