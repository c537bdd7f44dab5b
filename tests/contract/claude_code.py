"""Requests as Claude Code writes them: a turn of a session with tools, and values that nobody knows yet."""

import json
import random
from typing import Any

import httpx

MODEL = "claude-sonnet-4-6"
BETAS = "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,effort-2025-11-24"
SESSION = "0c9be8f4-5b4e-4f0e-9a53-3f8f4f4a7c11"
HEADERS = {
    "accept": "application/json",
    "anthropic-version": "2023-06-01",
    "anthropic-beta": BETAS,
    "anthropic-dangerous-direct-browser-access": "true",
    "content-type": "application/json",
    "user-agent": "claude-cli/2.1.329 (external, cli)",
    "x-app": "cli",
    "x-claude-code-session-id": SESSION,
    "x-stainless-lang": "js",
    "x-stainless-retry-count": "0",
    "x-stainless-timeout": "600",
}
MARK = {"type": "ephemeral"}
SIGNATURE = "c2lnbmF0dXJlIG9mIGEgdGhvdWdodA==" * 4
BILLING = "x-anthropic-billing-header: cc_version=2.1.329.abc; cc_entrypoint=cli;"


def turn(**changes: Any) -> dict[str, Any]:
    """The second request of a tool loop in auto mode, with a deferred tool and system text in the middle."""
    body: dict[str, Any] = {
        "model": MODEL,
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "<system-reminder>…</system-reminder>"}]},
            {
                "role": "system",
                "content": [{"type": "text", "text": "# Environment", "cache_control": {**MARK, "ttl": "1h"}}],
                "output_config": {"effort": "medium"},
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Look first. 🤔", "signature": SIGNATURE},
                    {"type": "redacted_thinking", "data": "AAAA"},
                    {"type": "tool_use", "id": "toolu_01A", "name": "ToolSearch", "input": {"query": "fetch"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "toolu_01A",
                        "content": [{"type": "tool_reference", "tool_name": "WebFetch"}],
                        "cache_control": MARK,
                    },
                    {"type": "text", "text": "and go on"},
                ],
            },
        ],
        "system": [
            {"type": "text", "text": BILLING},
            {"type": "text", "text": "You are a coding agent.", "cache_control": MARK},
        ],
        "tools": [
            {"name": "Bash", "description": "Runs", "input_schema": {"type": "object"}, "strict": False},
            {
                "name": "WebFetch",
                "description": "Gets",
                "input_schema": {"type": "object", "properties": {"url": {"type": "string"}}},
                "defer_loading": True,
                "input_examples": [{"url": "http://x"}],
            },
        ],
        "metadata": {"user_id": json.dumps({"device_id": "d" * 64, "account_uuid": "", "session_id": SESSION})},
        "max_tokens": 32000,
        "thinking": {"type": "adaptive", "display": "omitted"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "output_config": {"effort": "high"},
        "safeguards": [{"type": "dangerous_tool_use", "classifier_context": {"cwd": "/home/dev"}}],
        "stream": True,
    }
    return body | changes


def anything(source: random.Random, depth: int = 3) -> Any:
    """A JSON value of no known meaning."""
    kinds = ["text", "number", "none", "flag"] + (["list", "object"] if depth else [])
    match source.choice(kinds):
        case "text":
            return "".join(source.choice('aé"\\\n\u2028🔑漢 </x>') for _ in range(source.randrange(12)))
        case "number":
            return source.choice([0, -1, 1.10, 12345678901234567890, 1e-7])
        case "none":
            return None
        case "flag":
            return source.random() < 0.5
        case "list":
            return [anything(source, depth - 1) for _ in range(source.randrange(4))]
        case _:
            return {f"k{number}": anything(source, depth - 1) for number in range(source.randrange(4))}


def of_the_future(seed: int) -> tuple[bytes, dict[str, str]]:
    """A turn with fields, blocks, tools and betas that no release has, in some writing of JSON, and its headers."""
    source = random.Random(seed)
    body = turn(**{f"future_{number}": anything(source) for number in range(source.randrange(1, 5))})
    body["messages"][0]["content"].append({"type": f"future_block_{seed}", "payload": anything(source)})
    body["messages"][2]["content"][0]["future"] = anything(source)
    body["tools"].append({"type": f"future_tool_{seed}", "name": "future", "setting": anything(source)})
    body["thinking"]["future"] = anything(source)
    body["safeguards"].append({"type": "future_safeguard", "context": anything(source)})
    items = list(body.items())
    source.shuffle(items)
    separators = source.choice([(",", ":"), (", ", ": "), (" ,\n", "\t: ")])
    text = json.dumps(dict(items), ensure_ascii=source.random() < 0.5, separators=separators)
    headers = {
        "anthropic-beta": f"{BETAS},future-{seed}-2027-01-01, spaced-2027",
        f"anthropic-future-{seed}": "unknown; q=0.5, *",
        "anthropic-version": source.choice(["2023-06-01", "2026-10-21"]),
    }
    return text.encode(), headers


async def send(
    http: httpx.AsyncClient,
    key: str,
    body: dict[str, Any] | bytes,
    path: str = "/v1/messages?beta=true",
    **headers: str,
) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await http.post(path, content=content, headers={**HEADERS, "authorization": f"Bearer {key}", **named})
