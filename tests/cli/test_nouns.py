"""The nouns of the command line: help everywhere, and what is sent for what was said."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from click.testing import CliRunner

from app.cli import main
from app.cli.client import Answer
from app.cli.nouns import NOUNS


def _commands(group: click.Group, *path: str) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from _commands(command, *path, name)


@pytest.mark.parametrize("path", sorted(_commands(main)), ids=" ".join)
def test_every_command_has_help_with_an_example_of_itself(path: tuple[str, ...]) -> None:
    told = CliRunner().invoke(main, [*path, "--help"])
    assert told.exit_code == 0
    assert "Example:" in told.output
    assert f"keyhouse {' '.join(path)}" in " ".join(told.output.split())


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: noun.name)
def test_every_noun_can_be_made_listed_shown_changed_and_deleted(noun: Any) -> None:
    assert {"create", "list", "show", "update", "delete"} <= {verb.name for verb in noun.verbs}


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, bytes]]:
    calls: list[tuple[str, str, bytes]] = []

    def call(_settings: object, method: str, path: str, payload: Mapping[str, Any]) -> Answer:
        calls.append((method, path, msgspec.json.encode(payload)))
        return Answer('{"key": "sk-kh-1", "team_id": "t", "user_id": "u", "model_id": "d", "project_id": "p"}')

    monkeypatch.setattr("app.cli.nouns.noun.call", call)
    return calls


@pytest.mark.parametrize(
    ("said", "path", "body"),
    [
        ("keys create --max-budget 0.1 --rpm 5", "/key/generate", b'{"max_budget":0.1,"rpm_limit":5}'),
        ("keys create --max-budget 1e-3 --models a,b", "/key/generate", b'{"models":["a","b"],"max_budget":0.001}'),
        ("keys update k --max-budget none --models none", "/key/update",
         b'{"key":"k","models":[],"max_budget":null}'),
        ("keys reset-spend sk/1", "/key/sk%2F1/reset_spend", b'{"reset_to":0}'),
        ("keys revoke k", "/key/delete", b'{"keys":["k"]}'),
        ("teams add-member t ada --role admin --max-budget 9", "/team/member_add",
         b'{"member":{"role":"admin","user_id":"ada"},"team_id":"t","max_budget_in_team":9}'),
        ("teams add-member t ada@example.com", "/team/member_add",
         b'{"member":{"role":"user","user_email":"ada@example.com"},"team_id":"t"}'),
        ("projects create apollo --team t --max-budget 0.1", "/project/new",
         b'{"project_alias":"apollo","team_id":"t","max_budget":0.1}'),
        ("projects block p", "/project/update", b'{"project_id":"p","blocked":true}'),
        ("users create --email ada@example.com", "/user/new",
         b'{"auto_create_key":false,"user_email":"ada@example.com"}'),
        ("models create sonnet anthropic/claude-sonnet-4-5 --weight 3 --access-groups a", "/model/new",
         b'{"model_name":"sonnet","litellm_params":{"model":"anthropic/claude-sonnet-4-5","weight":3},'
         b'"model_info":{"access_groups":["a"]}}'),
        ('teams update t --metadata {"a":1}', "/team/update", b'{"team_id":"t","metadata":{"a":1}}'),
    ],
)  # fmt: skip
def test_what_is_said_is_what_is_sent(sent: list[tuple[str, str, bytes]], said: str, path: str, body: bytes) -> None:
    told = CliRunner().invoke(main, said.split())
    assert told.exit_code == 0, told.output
    [(method, to, content)] = sent
    assert (method, to) == ("POST", path)
    assert msgspec.json.decode(content) == msgspec.json.decode(body)
    # The digits of an amount go out as they were written, not through a float.
    if b"0.001" in body:
        assert b'"max_budget":0.001' in content


def test_the_sends_of_a_verb_are_not_changed_by_its_use(sent: list[tuple[str, str, bytes]]) -> None:
    for user in ("ada", "bob"):
        CliRunner().invoke(main, ["teams", "add-member", "t", user, "--role", "admin"])
    CliRunner().invoke(main, ["teams", "add-member", "t", "eve@example.com"])
    assert msgspec.json.decode(sent[-1][2])["member"] == {"role": "user", "user_email": "eve@example.com"}


def test_a_secret_is_read_from_a_file(sent: list[tuple[str, str, bytes]], tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-secret\n")
    CliRunner().invoke(main, ["models", "create", "m", "openai/gpt-5", "--api-key", f"@{tmp_path / 'key'}"])
    assert msgspec.json.decode(sent[-1][2])["litellm_params"]["api_key"] == "sk-secret"
    refused = CliRunner().invoke(main, ["models", "create", "m", "openai/gpt-5", "--api-key", f"@{tmp_path}"])
    assert refused.exit_code == 2


def test_a_command_that_calls_a_gateway_does_not_load_one() -> None:
    code = "import sys; from app.cli import main; main(['keys', '--help'], standalone_mode=False); print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(told.stdout.split())
    assert "app.cli.nouns.keys" in loaded
    heavy = {"litestar", "sqlalchemy", "uvicorn", "app.main", "asyncio", "structlog", "rich", "jwt", "cryptography"}
    assert loaded & heavy == set()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("keys create --max-budget nan", '"nan" is not an amount in dollars'),
        ("keys create --rpm 1.5", '"1.5" is not a whole number'),
        ("keys create --metadata [1]", "is not a JSON object"),
        ("teams create", "Missing argument 'ALIAS'"),
        ("teams add-member t ada --role owner", "is not one of 'user', 'admin'"),
        ("keys list --size 1000", "is not in the range"),
    ],
)
def test_a_mistake_in_what_is_said_is_told_with_status_2(said: str, told: str) -> None:
    ended = CliRunner().invoke(main, said.split())
    assert ended.exit_code == 2
    assert told in " ".join(ended.output.split())
