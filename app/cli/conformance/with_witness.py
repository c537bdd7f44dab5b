"""Checks of what a gateway sends to its provider, and of what it makes of the answers: with a witness behind it."""

from functools import partial
from typing import Any

import msgspec

from app.cli.conformance.checks import Check, NotTried, Setting, expect
from app.cli.conformance.talk import Heard
from app.cli.conformance.witness import UNKNOWN_FIELD, Answer, Recorded, events, refusal, stream, whole

_BETAS = "claude-code-20250219,interleaved-thinking-2025-05-14,beta-of-a-later-release-2031-01-01"
_SYSTEM = [
    {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.329; cc_entrypoint=cli;"},
    {"type": "text", "text": "You are a coder.", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
    {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}},
]
_MESSAGES = [
    {"role": "user", "content": [{"type": "text", "text": "Read a.", "cache_control": {"type": "ephemeral"}}]},
    {"role": "assistant", "content": [
        {"type": "thinking", "thinking": "Let me see.", "signature": "c2lnbmF0dXJl/+=="},
        {"type": "tool_use", "id": "toolu_01ABCdef_-9", "name": "Read", "input": {"path": "a", "n": 1.0}},
    ]},
    {"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": "toolu_01ABCdef_-9", "content": [
            {"type": "text", "text": "naïve 🔑"}, {"type": "tool_reference", "tool_name": "Edit"}]},
        {"type": "a_block_of_a_later_release", "value": None},
    ]},
    {"role": "system", "content": [{"type": "text", "text": "Mid-way.", "cache_control": {"type": "ephemeral"}}]},
]  # fmt: skip
_TOOLS = [
    {"name": "Read", "description": "Reads.", "input_schema": {"type": "object", "properties": {}},
     "strict": True, "defer_loading": True, "input_examples": [{}]},
    {"type": "web_search_20250305", "name": "web_search", "max_uses": 3},
]  # fmt: skip


def _turn(setting: Setting, **changes: Any) -> dict[str, Any]:  # noqa: ANN401  JSON
    return setting.message(
        system=_SYSTEM,
        messages=_MESSAGES,
        tools=_TOOLS,
        thinking={"type": "adaptive"},
        context_management={"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        output_config={"effort": "medium"},
        safeguards=[{"type": "dangerous_tool_use", "classifier_context": {"paths": ["a"]}}],
        metadata={"user_id": '{"device_id":"0","account_uuid":"","session_id":"1"}'},
        **{UNKNOWN_FIELD: {"nested": [1, None]}},
        **changes,
    )


def _sent(setting: Setting, body: object, *headers: tuple[str, str]) -> tuple[Heard, Recorded]:
    witness = setting.watched
    heard = setting.post(body, *headers)
    expect(witness.last is not None, f"nothing came to the witness; the gateway answered {heard.brief}")
    assert witness.last is not None
    return heard, witness.last


def _credential(setting: Setting) -> str:
    _, seen = _sent(setting, setting.message(), ("x-api-key", setting.line.key))
    held = [name for name, value in seen.headers if setting.line.key in value]
    expect(not held, f"the developer's key goes to the provider in {', '.join(held)}")
    expect(setting.line.key.encode() not in seen.body, "the developer's key goes to the provider in the body")
    return "the developer's key stays here"


def _betas(setting: Setting) -> str:
    _, seen = _sent(setting, setting.message(), ("anthropic-beta", _BETAS))
    expect(seen.header("anthropic-beta") == _BETAS, f"anthropic-beta comes as {seen.header('anthropic-beta')!r}")
    expect(
        seen.header("anthropic-version") == "2023-06-01", f"the version comes as {seen.header('anthropic-version')!r}"
    )
    return "byte for byte"


def _open_headers(setting: Setting) -> str:
    _, seen = _sent(setting, setting.message(), ("anthropic-header-of-a-later-release", "1"))
    expect(seen.header("anthropic-header-of-a-later-release") == "1", "an anthropic-* header nobody knows is dropped")
    return "unknown anthropic-* headers pass"


def _body(setting: Setting) -> str:
    sent = msgspec.json.encode(_turn(setting))
    _, seen = _sent(setting, sent)
    before, after = msgspec.json.decode(sent), msgspec.json.decode(seen.body)
    lost = [name for name in before if name not in after]
    expect(not lost, f"fields are dropped: {', '.join(lost)}")
    changed = [name for name in before if name != "model" and before[name] != after[name]]
    expect(not changed, f"fields are changed: {', '.join(changed)}")
    added = [name for name in after if name not in before]
    expect(not added, f"fields are added: {', '.join(added)}")
    rest = [
        text.replace(msgspec.json.encode(value["model"]), b'""', 1)
        for text, value in ((sent, before), (seen.body, after))
    ]
    return "byte for byte, but for the model" if rest[0] == rest[1] else "the same JSON in other bytes"


def _caching(setting: Setting) -> str:
    _, seen = _sent(setting, _turn(setting))
    after = msgspec.json.decode(seen.body)
    expect(after.get("system") == _SYSTEM, "system is not what was sent: all of it is then paid as uncached")
    sent, left = (
        str(value).count("cache_control") for value in (_SYSTEM + _MESSAGES, [*after["system"], *after["messages"]])
    )
    expect(sent == left, f"{sent} cache marks were sent, {left} arrive")
    return f"{left} cache marks in their places"


def _earlier_turns(setting: Setting) -> str:
    _, seen = _sent(setting, _turn(setting))
    after = msgspec.json.decode(seen.body)
    expect(after.get("messages") == _MESSAGES, "earlier messages are changed: signatures of thinking then fail")
    expect(after.get("tools") == _TOOLS, "tools are changed")
    return "messages, thinking and tools untouched"


def _large(setting: Setting) -> str:
    words = "Lorem ipsum dolor sit amet. " * 300_000
    heard, seen = _sent(setting, setting.message(messages=[{"role": "user", "content": words}]))
    expect(heard.status == 200, f"8 MB are answered with {heard.brief}")
    return f"{len(seen.body) / 1e6:.1f} MB passed"


def _events(setting: Setting) -> str:
    heard, _ = _sent(setting, setting.message(stream=True))
    wanted = b"".join(events()).decode()
    got = heard.body.decode("utf-8", "replace")
    if got == wanted:
        return "byte for byte"
    seen = [data for _, data in heard.events]
    before = [msgspec.json.decode(part.partition(b"data: ")[2]) for part in events()]
    expect([one.get("type") for one in seen if isinstance(one, dict)] == [one["type"] for one in before],
           "events are dropped, doubled or in another order")  # fmt: skip
    for one in (*seen, *before):
        if isinstance(one.get("message"), dict):
            one["message"]["model"] = ""
    changed = [one["type"] for one, other in zip(before, seen, strict=True) if one != other]
    expect(not changed, f"events are changed: {', '.join(changed)}")
    return "the same events in other bytes"


def _cut(setting: Setting) -> str:
    witness = setting.watched
    witness.answer = lambda _: stream(events(until=5), cut=True)
    heard, _ = _sent(setting, setting.message(stream=True))
    names = [name for name, _ in heard.events]
    expect("message_stop" not in names, "a message_stop is made up")
    if heard.whole:
        expect("error" in names, "a broken stream is ended cleanly: a half answer looks like a whole one")
        return "an error event, then an end"
    return "an error event, then cut" if "error" in names else "cut"


def _silence(setting: Setting) -> str:
    witness = setting.watched
    if setting.line.timeout_s < 100:
        raise NotTried("takes 40 s: --slow")
    parts = events(ping=False)
    witness.answer = lambda _: stream([b"".join(parts[:3]), b"".join(parts[3:])], pause_s=35)
    heard, _ = _sent(setting, setting.message(stream=True))
    expect(heard.events and heard.events[-1][0] == "message_stop", f"a silence of 35 s breaks it: {heard.brief}")
    pings = sum(name == "ping" for name, _ in heard.events)
    expect(pings, "no ping of the gateway's own in 35 s of silence")
    return f"{pings} pings of its own"


def _errors_pass(setting: Setting) -> str:
    told = (
        (400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
        (400, "invalid_request_error", "messages.1.content.0: Invalid `signature` in `thinking` block"),
        (413, "request_too_large", "Request exceeds the maximum size"),
    )
    exact = True
    for status, kind, message in told:
        answer = refusal(status, kind, message)
        setting.watched.answer = partial(_always, answer)
        heard, _ = _sent(setting, setting.message())
        expect(heard.status == status, f"{status} becomes {heard.status}")
        expect(message in heard.body.decode("utf-8", "replace"), f"its words are lost: {heard.brief}")
        exact = exact and heard.body == answer.parts[0]
    return "byte for byte" if exact else "status and words"


def _always(answer: Answer, _body: object) -> Answer:
    return answer


def _retry_after(setting: Setting) -> str:
    setting.watched.answer = lambda _: refusal(429, "rate_limit_error", "slow down", retry_after="7")
    heard, _ = _sent(setting, setting.message())
    expect(heard.status == 429, f"429 becomes {heard.status}")
    expect(heard.headers.get("retry-after") == "7", f"retry-after comes as {heard.headers.get('retry-after')!r}")
    return "retry-after: 7"


def _should_retry(setting: Setting) -> str:
    setting.watched.answer = lambda _: refusal(400, "invalid_request_error", "never", x_should_retry="false")
    heard, _ = _sent(setting, setting.message())
    expect(heard.headers.get("x-should-retry") == "false", "x-should-retry is lost")
    return "passes"


def _unknown_in_answers(setting: Setting) -> str:
    told = {UNKNOWN_FIELD: {"a": [1]}, "safeguard_results": [{"type": "dangerous_tool_use", "verdict": "allow"}]}
    call = {"type": "tool_use", "id": "toolu_01ABCdef_-9", "name": "Read", "input": {"path": "a"}}
    setting.watched.answer = lambda _: whole(content=[call], stop_reason="tool_use", **told)
    heard, _ = _sent(setting, setting.message())
    value = heard.value if isinstance(heard.value, dict) else {}
    lost = [name for name in told if value.get(name) != told[name]]
    expect(not lost, f"fields of the answer are dropped: {', '.join(lost)}")
    expect(value.get("content") == [call], "the id of a tool call is rewritten")
    return "unknown fields and tool ids stay"


CHECKS = (
    Check("C13", "the developer's key never reaches the provider", "must", _credential),
    Check("C20", "anthropic-version and anthropic-beta", "must", _betas),
    Check("C21", "unknown anthropic-* headers", "must", _open_headers),
    Check("C21b", "unknown and known fields of the body", "must", _body),
    Check("C31", "system and cache marks", "must", _caching),
    Check("C32", "earlier messages, thinking, tools", "must", _earlier_turns),
    Check("C07b", "a body of 8 MB", "must", _large),
    Check("C41", "every event, once, in order", "must", _events),
    Check("C42b", "a broken stream does not end cleanly", "must", _cut),
    Check("C43", "pings in a silence", "must", _silence),
    Check("C50", "the provider's errors in their own words", "must", _errors_pass),
    Check("C53", "retry-after in seconds", "must", _retry_after),
    Check("C54", "x-should-retry", "must", _should_retry),
    Check("C57", "unknown fields of answers, ids of tools", "must", _unknown_in_answers),
)
