"""What each client needs to be pointed at the gateway: the variables and files of every client we know, as data."""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

NO_KEY = "sk-kh-…"
"""Stands where a key belongs, and nobody gave one."""
CUSTOM_HEADERS = "ANTHROPIC_CUSTOM_HEADERS"
"""Of Claude Code: lines of ``name: value``."""
Speaks = Literal["anthropic_messages", "openai_chat", "openai_responses", "gemini"]
CLAUDE_ROLES = ("ANTHROPIC_DEFAULT_OPUS_MODEL", "ANTHROPIC_DEFAULT_SONNET_MODEL", "ANTHROPIC_DEFAULT_HAIKU_MODEL")
KEY_HEADER = "x-keyhouse-key"
"""Where the key stands beside a developer's own login, which has Authorization."""
_SMALLEST_COMPACT_WINDOW = 100_000


@dataclass(frozen=True, slots=True)
class Wish:
    """What the developer asks for. ``model`` may be empty: the client's own choice then stands.

    ``serves_claude``: the key may use models of Claude's names, which Claude Code asks for by itself. The windows are
    those of ``model``, None where the gateway does not know them. ``own_login``: they stay signed in at Anthropic, and
    the key stands beside that login.
    """

    url: str
    key: str
    model: str = ""
    serves_claude: bool = True
    gateway_mode: bool = False
    telemetry: bool = False
    own_login: bool = False
    input_window: int | None = None
    output_window: int | None = None

    @property
    def signs_in(self) -> bool:
        """By Claude Code's /login: gateway mode without a key."""
        return self.gateway_mode and self.key == NO_KEY


@dataclass(frozen=True, slots=True)
class Snippet:
    """``where``: a file, or what to do with the text."""

    where: str
    text: str


@dataclass(frozen=True, slots=True)
class Client:
    """``default_model`` stands in the snippet where the developer named none. ``speaks`` is its protocol."""

    name: str
    title: str
    speaks: Speaks
    setup: Callable[[Wish], list[Snippet]]
    notes: tuple[str, ...] = ()
    default_model: str = ""


def claude_code_environment(wish: Wish) -> dict[str, str]:
    """The variables of Claude Code.

    Without a Claude model behind the key each of its roles must be given a name, as titles and background work ask for
    built-in ones whatever ANTHROPIC_MODEL says.
    """
    key = {CUSTOM_HEADERS: f"{KEY_HEADER}: {wish.key}"} if wish.own_login else {"ANTHROPIC_AUTH_TOKEN": wish.key}
    variables = {"ANTHROPIC_BASE_URL": wish.url, **key, "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY": "1"}
    if wish.gateway_mode:
        variables["CLAUDE_CODE_USE_GATEWAY"] = "1"
    if wish.telemetry:
        variables |= _telemetry(wish)
    if wish.model:
        variables["ANTHROPIC_MODEL"] = wish.model
        if not wish.serves_claude:
            variables |= dict.fromkeys(CLAUDE_ROLES, wish.model)
        variables |= _windows(wish)
    return variables


def _telemetry(wish: Wish) -> dict[str, str]:
    """Claude Code's counters of commits and lines, to the gateway.

    By ``x-api-key``: ``Authorization`` would need a space, which shells split, and Claude Code leaves %20 as it is.
    """
    return {
        "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": wish.url,
        "OTEL_EXPORTER_OTLP_HEADERS": f"x-api-key={wish.key}",
    }


def _windows(wish: Wish) -> dict[str, str]:
    """Of a model that Claude Code does not know: it would take 200 000 tokens in and 32 000 out for granted."""
    if wish.model.startswith("claude-"):
        return {}
    variables: dict[str, str] = {}
    if wish.output_window is not None and wish.output_window < 32_000:
        variables["CLAUDE_CODE_MAX_OUTPUT_TOKENS"] = str(wish.output_window)
    if wish.input_window is not None and wish.input_window != 200_000:
        variables["CLAUDE_CODE_MAX_CONTEXT_TOKENS"] = str(wish.input_window)
        if _SMALLEST_COMPACT_WINDOW <= wish.input_window < 200_000:
            variables["CLAUDE_CODE_AUTO_COMPACT_WINDOW"] = str(wish.input_window)
    return variables


def shell_lines(variables: Mapping[str, str]) -> str:
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _claude_code(wish: Wish) -> list[Snippet]:
    if wish.signs_in:
        named = {"forceLoginMethod": "gateway", "forceLoginGatewayUrl": wish.url}
        where = (
            "managed settings of the machine (Linux: /etc/claude-code/managed-settings.json); then claude and /login"
        )
        return [Snippet(where, _json(named))]
    variables = claude_code_environment(wish)
    return [
        Snippet("in a shell, then start: claude", shell_lines(variables)),
        Snippet("or in ~/.claude/settings.json (keyhouse claude --write does it)", _json({"env": variables})),
    ]


def _vscode(wish: Wish) -> list[Snippet]:
    pairs = [{"name": name, "value": value} for name, value in claude_code_environment(wish).items()]
    return [Snippet("settings.json of VS Code (user)", _json({"claudeCode.environmentVariables": pairs}))]


def _github_actions(wish: Wish) -> list[Snippet]:
    model = f"\n          claude_args: --model {wish.model}" if wish.model else ""
    text = f"""\
      - uses: anthropics/claude-code-action@v1
        with:
          anthropic_api_key: ${{{{ secrets.KEYHOUSE_KEY }}}}{model}
        env:
          ANTHROPIC_BASE_URL: {wish.url}"""
    return [
        Snippet("the key, as a secret of the repository", f"gh secret set KEYHOUSE_KEY --body {wish.key}"),
        Snippet("a step of the workflow", text),
    ]


def _codex(wish: Wish) -> list[Snippet]:
    text = f"""\
model = "{wish.model}"
model_provider = "keyhouse"

[model_providers.keyhouse]
name = "Keyhouse"
base_url = "{wish.url}/v1"
env_key = "KEYHOUSE_KEY"
wire_api = "responses\""""
    return [
        Snippet("~/.codex/config.toml", text),
        Snippet("in a shell, then start: codex", f"export KEYHOUSE_KEY={wish.key}"),
    ]


def _opencode(wish: Wish) -> list[Snippet]:
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "Keyhouse",
        "options": {"baseURL": f"{wish.url}/v1", "apiKey": "{env:KEYHOUSE_KEY}"},
        "models": {wish.model: {}},
    }
    config = {
        "$schema": "https://opencode.ai/config.json",
        "provider": {"keyhouse": provider},
        "model": f"keyhouse/{wish.model}",
    }
    return [
        Snippet("opencode.json of the project, or ~/.config/opencode/opencode.json", _json(config)),
        Snippet("in a shell, then start: opencode", f"export KEYHOUSE_KEY={wish.key}"),
    ]


def _gemini_cli(wish: Wish) -> list[Snippet]:
    settings = {"security": {"auth": {"selectedType": "gemini-api-key"}}}
    variables = {"GOOGLE_GEMINI_BASE_URL": wish.url, "GEMINI_API_KEY": wish.key, "GEMINI_MODEL": wish.model}
    return [
        Snippet("~/.gemini/settings.json", _json(settings)),
        Snippet("in a shell, then start: gemini", shell_lines(variables)),
    ]


def _anthropic_python(wish: Wish) -> list[Snippet]:
    text = f"""\
from anthropic import Anthropic

client = Anthropic(base_url="{wish.url}", api_key="{wish.key}")
message = client.messages.create(
    model="{wish.model}", max_tokens=200, messages=[{{"role": "user", "content": "Hello"}}]
)
print(message.content[0].text)"""
    return [Snippet("pip install anthropic", text)]


def _anthropic_node(wish: Wish) -> list[Snippet]:
    text = f"""\
import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({{ baseURL: "{wish.url}", apiKey: "{wish.key}" }});
const message = await client.messages.create({{
  model: "{wish.model}", max_tokens: 200, messages: [{{ role: "user", content: "Hello" }}],
}});
console.log(message.content);"""
    return [Snippet("npm install @anthropic-ai/sdk", text)]


def _openai_python(wish: Wish) -> list[Snippet]:
    text = f"""\
from openai import OpenAI

client = OpenAI(base_url="{wish.url}/v1", api_key="{wish.key}")
answer = client.chat.completions.create(
    model="{wish.model}", messages=[{{"role": "user", "content": "Hello"}}]
)
print(answer.choices[0].message.content)"""
    return [Snippet("pip install openai", text)]


def _openai_node(wish: Wish) -> list[Snippet]:
    text = f"""\
import OpenAI from "openai";

const client = new OpenAI({{ baseURL: "{wish.url}/v1", apiKey: "{wish.key}" }});
const answer = await client.chat.completions.create({{
  model: "{wish.model}", messages: [{{ role: "user", content: "Hello" }}],
}});
console.log(answer.choices[0].message.content);"""
    return [Snippet("npm install openai", text)]


def _curl(wish: Wish) -> list[Snippet]:
    text = f"""\
curl {wish.url}/v1/messages -H "x-api-key: {wish.key}" -H "content-type: application/json" \\
  -d '{{"model": "{wish.model}", "max_tokens": 100, "messages": [{{"role": "user", "content": "Hello"}}]}}'"""
    return [Snippet("in a shell", text)]


CLIENTS = {
    client.name: client
    for client in (
        Client(
            "claude-code", "Claude Code", "anthropic_messages", _claude_code,
            notes=("leave ANTHROPIC_API_KEY unset: Claude Code would ask whether to use it",),
        ),
        Client(
            "vscode", "Claude Code in VS Code", "anthropic_messages", _vscode,
            notes=("the extension does not read the shell's variables", "reload the window afterwards"),
        ),
        Client("github-actions", "Claude Code in GitHub Actions", "anthropic_messages", _github_actions),
        Client("codex", "Codex", "openai_responses", _codex, default_model="gpt-5"),
        Client("opencode", "opencode", "openai_chat", _opencode, default_model="gpt-5"),
        Client("gemini-cli", "Gemini CLI", "gemini", _gemini_cli, default_model="gemini-2.5-pro"),
        Client("anthropic-python", "Anthropic's SDK for Python", "anthropic_messages", _anthropic_python,
               default_model="claude-sonnet-4-6"),
        Client("anthropic-node", "Anthropic's SDK for TypeScript", "anthropic_messages", _anthropic_node,
               default_model="claude-sonnet-4-6"),
        Client("openai-python", "OpenAI's SDK for Python", "openai_chat", _openai_python, default_model="gpt-5-mini"),
        Client("openai-node", "OpenAI's SDK for TypeScript", "openai_chat", _openai_node, default_model="gpt-5-mini"),
        Client("curl", "curl", "anthropic_messages", _curl, default_model="demo/echo"),
    )
}  # fmt: skip
