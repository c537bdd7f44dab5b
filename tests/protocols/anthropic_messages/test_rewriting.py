"""What changes in a request that stays in this protocol, and what never does."""

import json
from typing import Any

import pytest

from app.protocols.anthropic_messages.dialect import MessagesDialect
from app.protocols.codec import Outgoing
from tests.protocols.anthropic_messages.builders import CODEC
from tests.protocols.streams import answer

HEAD = "You are Claude Code, Anthropic's official CLI for Claude."
CLAUDE_CODE = MessagesDialect(system_head=HEAD, betas=("oauth-2025-04-20",))
BEDROCK = MessagesDialect(version_in_body="bedrock-2023-05-31", betas_in_body=True, stream_in_body=False)


def rewritten(body: bytes, dialect: MessagesDialect, *headers: tuple[bytes, bytes]) -> Outgoing:
    return CODEC.rewrite(CODEC.read_envelope(body), "real", dialect, headers)


def dumped(**fields: Any) -> bytes:
    return json.dumps({"model": "m", "max_tokens": 5, "messages": []} | fields).encode()


def test_anthropics_own_host_gets_every_other_byte_as_it_came() -> None:
    body = answer("anthropic_messages/claude_code_request.json")
    outgoing = rewritten(body, MessagesDialect(), (b"anthropic-beta", b"a"))
    assert outgoing.body == body.replace(b'"model": "claude-opus-5-5"', b'"model": "real"')
    assert outgoing.headers == ()


def test_a_cloud_has_version_and_betas_in_the_body() -> None:
    outgoing = rewritten(
        b'{"model":"m","stream":true,"max_tokens":5,"messages":[],"anthropic_beta":["own"]}',
        BEDROCK,
        (b"Anthropic-Beta", b"one, two"),
        (b"anthropic-beta", b"two"),
    )
    assert json.loads(outgoing.body) == {
        "max_tokens": 5,
        "messages": [],
        "anthropic_beta": ["own", "one", "two"],
        "anthropic_version": "bedrock-2023-05-31",
    }
    assert dict(outgoing.headers) == {b"anthropic-beta": b"", b"anthropic-version": b""}


def test_betas_of_the_host_join_the_callers() -> None:
    outgoing = rewritten(dumped(), CLAUDE_CODE, (b"anthropic-beta", b"x-1,oauth-2025-04-20"))
    assert outgoing.headers == ((b"anthropic-beta", b"x-1,oauth-2025-04-20"),)
    assert rewritten(dumped(), CLAUDE_CODE).headers == ((b"anthropic-beta", b"oauth-2025-04-20"),)


BLOCK = {"type": "text", "text": HEAD}
BILLING = {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.329;"}
MINE = {"type": "text", "text": "Mine.", "cache_control": {"type": "ephemeral"}}


@pytest.mark.parametrize(
    ("system", "sent"),
    [
        (None, [BLOCK]),
        ("", [BLOCK]),
        ("Mine.", [BLOCK, {"type": "text", "text": "Mine."}]),
        (HEAD, HEAD),
        ([], [BLOCK]),
        ([MINE], [BLOCK, MINE]),
        ([BLOCK, MINE], [BLOCK, MINE]),
        ([BLOCK | {"cache_control": {"type": "ephemeral"}}], [BLOCK | {"cache_control": {"type": "ephemeral"}}]),
        ([BILLING, BLOCK, MINE], [BILLING, BLOCK, MINE]),
        ([BILLING, MINE], [BILLING, BLOCK, MINE]),
        (5, 5),
    ],
)
def test_the_first_system_block_is_there_once(system: Any, sent: Any) -> None:
    assert json.loads(rewritten(dumped(system=system), CLAUDE_CODE).body)["system"] == sent
    if system is None:
        assert json.loads(rewritten(dumped(), CLAUDE_CODE).body)["system"] == sent


def thought(signature: str, kind: str = "thinking") -> dict[str, str]:
    place = "signature" if kind == "thinking" else "data"
    return {"type": kind, place: signature} | ({"thinking": "Hm."} if kind == "thinking" else {})


SAID = {"type": "text", "text": "größer", "n": 1}


def sent_messages(*messages: Any, dialect: MessagesDialect | None = None) -> Any:
    body = dumped(messages=list(messages))
    return json.loads(rewritten(body, dialect or MessagesDialect()).body)["messages"]


def test_thinking_of_another_issuer_is_taken_out() -> None:
    kept = {"role": "assistant", "content": [thought("native"), SAID]}
    mixed = {
        "role": "assistant",
        "content": [thought("kh1.gemini.x"), thought("kh1.openai.y", "redacted_thinking"), SAID],
    }
    alone = {"role": "assistant", "content": [thought("kh1.gemini.x")]}
    user = {"role": "user", "content": 'the text "kh1.gemini.x" is no seal'}
    assert sent_messages(user, kept, mixed, alone, user) == [
        user,
        kept,
        {"role": "assistant", "content": [SAID]},
        user,
    ]


def test_thinking_that_nobody_signed_is_taken_out() -> None:
    for separators in ((",", ":"), (", ", ": ")):
        message = {"role": "assistant", "content": [thought(""), SAID]}
        body = json.dumps({"model": "m", "messages": [message]}, separators=separators).encode()
        messages = json.loads(rewritten(body, MessagesDialect()).body)["messages"]
        assert messages == [{"role": "assistant", "content": [SAID]}]


def test_a_hosts_own_tagged_thinking_is_unwrapped() -> None:
    message = {"role": "assistant", "content": [thought("kh1.deepseek.x"), SAID]}
    assert sent_messages(message, dialect=MessagesDialect("deepseek")) == [
        {"role": "assistant", "content": [thought("x"), SAID]}
    ]


@pytest.mark.parametrize(
    "messages",
    [
        {"kh1": "kh1.a.b"},
        ["kh1.a.b"],
        [{"content": "kh1.a.b"}],
        [
            {
                "content": [
                    "kh1.a.b",
                    5,
                    {"type": 5, "signature": "kh1.a.b"},
                    {"type": "thinking", "signature": ["kh1.a.b"]},
                ]
            }
        ],
        None,
    ],
)
def test_what_cannot_be_read_is_the_hosts_to_judge(messages: Any) -> None:
    body = dumped(messages=messages)
    assert json.loads(rewritten(body, MessagesDialect()).body) == json.loads(body) | {"model": "real"}
