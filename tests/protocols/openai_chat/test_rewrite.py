"""Requests that pass to a host of the same protocol: the caller's bytes, but for what the host needs otherwise."""

import pytest

from app.protocols.codec import Dialect, Outgoing
from app.protocols.openai_chat.dialect import ChatDialect
from tests.protocols.openai_chat.builders import CODEC, DEEPSEEK, OPENAI, OPENROUTER, PLAIN

THOUGHTS = (
    b'{"model":"m","messages":[{"role": "user", "content": "thinking_blocks"}, {"role":"assistant", "content":"a",'
    b' "reasoning_content":"r", "thinking_blocks":[{"type":"thinking"}],"provider_specific_fields":{"a":1.10}}]}'
)


def rewritten(body: bytes, dialect: Dialect = OPENAI, model: str = "m") -> Outgoing:
    return CODEC.rewrite(CODEC.read_envelope(body), model, dialect, ())


@pytest.mark.parametrize("dialect", [OPENAI, OPENROUTER, PLAIN, DEEPSEEK, Dialect("somewhere")])
def test_what_needs_no_change_goes_out_byte_by_byte(dialect: Dialect) -> None:
    body = b'{ "model" : "m", "messages":[{"content":[{"text":"\\u00e9 1.10","cache_control":{}}]}],"x":1.10}'
    assert rewritten(body, dialect).body == body


def test_extra_headers_leave_the_body_and_become_headers() -> None:
    body = (
        b'{"model":"m","extra_headers":{"X-Trace":"t","Authorization":"Bearer secret","cookie":"c","Host":"h",'
        b'"x-api-key":"k","transfer-encoding":"chunked","x-number":5},"messages":[]}'
    )
    outgoing = rewritten(body)
    assert outgoing.body == b'{"model":"m","messages":[]}'
    assert outgoing.headers == ((b"x-trace", b"t"),)
    assert rewritten(b'{"model":"m","extra_headers":"x"}').headers == ()


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        (b'"reasoning_effort":"low"', b'"thinking":{"type":"enabled"}'),
        (b'"reasoning_effort":"none"', b'"thinking":{"type":"disabled"}'),
        (b'"reasoning_effort":null', b'"reasoning_effort":null'),
        (b'"thinking":{"type": "enabled", "budget_tokens":1024}', b'"thinking":{"type":"enabled"}'),
        (b'"thinking":{"type": "disabled"},"reasoning_effort":"low"', b'"thinking":{"type": "disabled"}'),
    ],
)
def test_deepseek_has_a_switch_for_thinking(asked: bytes, sent: bytes) -> None:
    body = b'{"model":"m",' + asked + b"}"
    assert rewritten(body, DEEPSEEK).body.replace(b" ", b"") == b'{"model":"m",' + sent.replace(b" ", b"") + b"}"
    assert rewritten(body, OPENAI).body == body


@pytest.mark.parametrize(
    ("dialect", "model", "sent"),
    [
        (PLAIN, "m", b'{"model":"m","max_tokens":7}'),
        (PLAIN, "gpt-5", b'{"model":"gpt-5","max_completion_tokens":7}'),
        (ChatDialect(), "m", b'{"model":"m","max_completion_tokens":7}'),
        (OPENAI, "m", b'{"model":"m","max_completion_tokens":7}'),
    ],
)
def test_the_limit_gets_the_old_name_where_the_new_one_is_unknown(dialect: Dialect, model: str, sent: bytes) -> None:
    assert rewritten(b'{"model":"m","max_completion_tokens":7}', dialect, model).body == sent


def test_the_newer_limit_wins() -> None:
    body = b'{"model":"m","max_tokens":5,"max_completion_tokens":7}'
    assert rewritten(body, PLAIN).body == b'{"model":"m","max_tokens":7}'


def test_thoughts_of_others_leave_the_messages() -> None:
    without = (
        b'{"model":"m","messages":[{"role":"user","content":"thinking_blocks"},{"role":"assistant","content":"a"}]}'
    )
    assert rewritten(THOUGHTS, OPENAI).body == without
    assert rewritten(THOUGHTS, OPENROUTER).body == without
    assert b'"reasoning_content":"r"' in rewritten(THOUGHTS, DEEPSEEK).body
    assert b'"thinking_blocks":' not in rewritten(THOUGHTS, DEEPSEEK).body
    odd = b'{"model":"m","messages":["thinking_blocks",5]}'
    assert rewritten(odd, OPENAI).body == odd
