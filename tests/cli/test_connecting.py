"""What is printed and written for a client, without a gateway."""

import json
import os
import stat
from pathlib import Path

import click
import pytest

from app.cli.connecting.gateway import find_gateway
from app.cli.connecting.settings_file import merge, obstacles, read
from app.domain.client_setups import CLAUDE_ROLES, CLIENTS, NO_KEY, Wish, claude_code_environment, shell_lines

URL, KEY = "https://gateway.example.com", "sk-kh-of-a-developer"
VARIABLES = {"ANTHROPIC_BASE_URL": URL, "ANTHROPIC_AUTH_TOKEN": KEY}


@pytest.mark.parametrize("client", CLIENTS.values(), ids=lambda client: client.name)
def test_every_client_is_given_the_address_the_key_and_the_model(client: object) -> None:
    assert isinstance(client, type(CLIENTS["curl"]))
    text = "\n".join(snippet.text for snippet in client.setup(Wish(URL, KEY, "team-model")))
    assert URL in text
    assert f"{URL}/v1/v1" not in text
    assert KEY in text
    assert "team-model" in text


def test_claude_code_chooses_its_models_itself_where_the_key_may_use_claude() -> None:
    variables = claude_code_environment(Wish(URL, KEY))
    assert "ANTHROPIC_MODEL" not in variables
    assert variables["CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY"] == "1"
    assert claude_code_environment(Wish(URL, KEY, "claude-opus-4-8"))["ANTHROPIC_MODEL"] == "claude-opus-4-8"


def test_gateway_mode_without_a_key_names_the_gateway_for_sign_in() -> None:
    [snippet] = CLIENTS["claude-code"].setup(Wish(URL, NO_KEY, gateway_mode=True))
    assert json.loads(snippet.text) == {"forceLoginMethod": "gateway", "forceLoginGatewayUrl": URL}
    assert len(CLIENTS["claude-code"].setup(Wish(URL, KEY, gateway_mode=True))) == 2


def test_telemetry_is_told_with_the_same_key_and_only_when_it_is_asked_for() -> None:
    assert not any(name.startswith("OTEL") for name in claude_code_environment(Wish(URL, KEY)))
    variables = claude_code_environment(Wish(URL, KEY, telemetry=True))
    assert variables["CLAUDE_CODE_ENABLE_TELEMETRY"] == "1"
    assert variables["OTEL_EXPORTER_OTLP_ENDPOINT"] == URL
    assert variables["OTEL_EXPORTER_OTLP_HEADERS"] == f"x-api-key={KEY}"


def test_beside_a_login_of_ones_own_the_key_stands_in_a_header_that_keeps_the_others(tmp_path: Path) -> None:
    variables = claude_code_environment(Wish(URL, KEY, own_login=True))
    assert variables["ANTHROPIC_CUSTOM_HEADERS"] == f"x-keyhouse-key: {KEY}"
    assert "ANTHROPIC_AUTH_TOKEN" not in variables
    assert f"export ANTHROPIC_CUSTOM_HEADERS='x-keyhouse-key: {KEY}'" in shell_lines(variables)

    path = tmp_path / "settings.json"
    path.write_text('{"env": {"ANTHROPIC_CUSTOM_HEADERS": "x-keyhouse-tag-project: apollo\\nX-Keyhouse-Key: sk-old"}}')
    merge(path, variables)
    written = read(path)["env"]["ANTHROPIC_CUSTOM_HEADERS"]
    assert written == f"x-keyhouse-tag-project: apollo\nx-keyhouse-key: {KEY}"
    assert merge(path, variables).changed == ()
    [told] = obstacles({"forceLoginMethod": "claudeai"}, {"ANTHROPIC_AUTH_TOKEN": "sk-kh-x"}, own_login=True)
    assert told.startswith("ANTHROPIC_AUTH_TOKEN is set in this shell")


def test_every_role_gets_the_model_where_no_claude_is_behind_the_key() -> None:
    variables = claude_code_environment(Wish(URL, KEY, "gpt-5", serves_claude=False))
    assert {variables[role] for role in CLAUDE_ROLES} == {"gpt-5"}


@pytest.mark.parametrize(
    ("input_window", "output_window", "expected"),
    [
        (None, None, {}),
        (200_000, 64_000, {}),
        (1_000_000, 65_536, {"CLAUDE_CODE_MAX_CONTEXT_TOKENS": "1000000"}),
        (128_000, 16_384, {"CLAUDE_CODE_MAX_CONTEXT_TOKENS": "128000", "CLAUDE_CODE_MAX_OUTPUT_TOKENS": "16384",
                           "CLAUDE_CODE_AUTO_COMPACT_WINDOW": "128000"}),
        (64_000, None, {"CLAUDE_CODE_MAX_CONTEXT_TOKENS": "64000"}),
    ],
)  # fmt: skip
def test_the_windows_of_a_model_that_claude_code_does_not_know_are_told_to_it(
    input_window: int | None, output_window: int | None, expected: dict[str, str]
) -> None:
    wish = Wish(URL, KEY, "llama", serves_claude=False, input_window=input_window, output_window=output_window)
    given = claude_code_environment(wish)
    assert {
        name: value for name, value in given.items() if name.startswith(("CLAUDE_CODE_MAX", "CLAUDE_CODE_AUTO"))
    } == expected


def test_the_settings_file_keeps_everything_else_and_the_old_one_stays_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    before = '{"model": "opus", "env": {"MINE": "1", "ANTHROPIC_BASE_URL": "http://old"}, "hooks": {"a": [1, 2.5]}}'
    path.write_text(before)
    merged = merge(path, VARIABLES)
    assert json.loads(path.read_text()) == {
        "model": "opus", "env": {"MINE": "1", **VARIABLES}, "hooks": {"a": [1, 2.5]},
    }  # fmt: skip
    assert dict(merged.changed)["ANTHROPIC_BASE_URL"] == "http://old"
    assert merged.backup is not None
    assert merged.backup.read_text() == before
    assert merge(path, VARIABLES).changed == ()
    assert len(list(tmp_path.iterdir())) == 2


def test_a_new_settings_file_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "settings.json"
    assert merge(path, VARIABLES).backup is None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_to_the_settings_stays_a_link(tmp_path: Path) -> None:
    real = tmp_path / "dotfiles.json"
    real.write_text("{}")
    link = tmp_path / "settings.json"
    link.symlink_to(real)
    merge(link, VARIABLES)
    assert link.is_symlink()
    assert json.loads(real.read_text())["env"] == VARIABLES


@pytest.mark.parametrize("text", ['{"env": ', "[]", '{"env": [1]}', '// a comment\n{"env": {}}', "\udcff"])
def test_a_settings_file_that_cannot_be_merged_is_left_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "settings.json"
    path.write_bytes(os.fsencode(text))
    with pytest.raises(click.ClickException, match="settings"):
        merge(path, VARIABLES)
    assert path.read_bytes() == os.fsencode(text)
    assert list(tmp_path.iterdir()) == [path]


def test_what_keeps_claude_code_from_the_gateway_is_named() -> None:
    found = obstacles(
        {"forceLoginMethod": "claudeai", "env": {"CLAUDE_CODE_USE_BEDROCK": "1"}}, {"ANTHROPIC_API_KEY": "x"}
    )
    assert [told.split()[0] for told in found] == ["forceLoginMethod", "ANTHROPIC_API_KEY", "CLAUDE_CODE_USE_BEDROCK"]
    assert obstacles({"env": VARIABLES}, VARIABLES) == []


@pytest.mark.parametrize("written", ["https://gateway.example.com/v1", "https://gateway.example.com/v1/"])
def test_an_address_that_ends_in_v1_is_that_of_its_root(written: str) -> None:
    assert find_gateway(written, KEY).url == URL


@pytest.mark.parametrize("written", ["ftp://x", "gateway.example.com", "http://"])
def test_what_is_no_address_is_refused(written: str) -> None:
    with pytest.raises(click.UsageError, match="is no address"):
        find_gateway(written, KEY)


def test_the_key_comes_from_the_option_or_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_AUTH_TOKEN", raising=False)
    monkeypatch.delenv("KEYHOUSE_KEY", raising=False)
    assert find_gateway(URL, None).key == NO_KEY
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "sk-kh-theirs")
    assert find_gateway(URL, None).key == "sk-kh-theirs"
    monkeypatch.setenv("KEYHOUSE_KEY", "sk-kh-ours")
    assert find_gateway(URL, None).key == "sk-kh-ours"
    assert find_gateway(URL, "sk-kh-given").key == "sk-kh-given"
