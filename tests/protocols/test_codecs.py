"""What the codecs read from a request, and what they send on."""

import json
from typing import Any

import pytest

from app.base.errors import InvalidRequest
from app.protocols.anthropic_messages.codec import AnthropicMessages
from app.protocols.anthropic_messages.dialect import MessagesDialect
from app.protocols.codec import Codec, Envelope, Outgoing
from app.protocols.openai_chat.codec import OpenAIChat
from app.protocols.openai_chat.dialect import ChatDialect

ANTHROPIC: Codec = AnthropicMessages()
OPENAI: Codec = OpenAIChat()
SESSION = "6d0b2f64-7c1e-4f53-9f0e-3a1c9d5e8b21"


def rewrite(codec: Codec, envelope: Envelope, upstream_model: str) -> Outgoing:
    """For the protocol's inventor, whose dialect is the plain one."""
    dialect = MessagesDialect() if codec is ANTHROPIC else ChatDialect()
    return codec.rewrite(envelope, upstream_model, dialect, ())


def dumped(**fields: Any) -> bytes:
    return json.dumps({"model": "m", "messages": []} | fields).encode()


@pytest.mark.parametrize("codec", [ANTHROPIC, OPENAI])
@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": None}, "model"),
        ({"model": ""}, "model"),
        ({"model": 7}, "model"),
        ({"stream": "yes"}, "stream"),
        ({"stream": 1}, "stream"),
        ({"max_tokens": "5"}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
    ],
)
def test_a_field_of_the_wrong_type_is_named(codec: Codec, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest, match=f'"{param}"') as caught:
        codec.read_envelope(dumped(**fields))
    assert caught.value.param == param


@pytest.mark.parametrize("codec", [ANTHROPIC, OPENAI])
@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b'{"model":NaN}', b'{"a":' * 100_000])
def test_whatever_the_bytes_are_only_invalid_request_is_raised(codec: Codec, body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        codec.read_envelope(body)


def test_a_messages_envelope_has_what_the_body_says() -> None:
    body = dumped(model="claude-opus-5-5", stream=True, max_tokens=64000, metadata={"user_id": "customer-7"})
    envelope = ANTHROPIC.read_envelope(body)
    assert (envelope.model, envelope.stream, envelope.max_output_tokens) == ("claude-opus-5-5", True, 64000)
    assert (envelope.customer, envelope.session_id, envelope.tags) == ("customer-7", None, ())


@pytest.mark.parametrize(
    ("user_id", "customer", "session_id"),
    [
        (json.dumps({"device_id": "ab" * 32, "account_uuid": "", "session_id": SESSION}), None, SESSION),
        (json.dumps({"device_id": "ab", "account_uuid": "acc-1", "session_id": SESSION}), "acc-1", SESSION),
        (json.dumps({"account_uuid": 5, "session_id": None}), None, None),
        ("{not json", "{not json", None),
        ("{" * 5000, "{" * 256, None),
        ("", None, None),
        (None, None, None),
        (7, None, None),
        ("nul\0", "nul", None),
    ],
)
def test_claude_codes_user_id_is_taken_apart(user_id: object, customer: str | None, session_id: str | None) -> None:
    envelope = ANTHROPIC.read_envelope(dumped(metadata={"user_id": user_id}))
    assert (envelope.customer, envelope.session_id) == (customer, session_id)


@pytest.mark.parametrize("metadata", [None, [], "x", 5, {}])
def test_odd_metadata_is_the_providers_to_judge(metadata: object) -> None:
    for codec in (ANTHROPIC, OPENAI):
        envelope = codec.read_envelope(dumped(metadata=metadata))
        assert (envelope.customer, envelope.tags) == (None, ())


@pytest.mark.parametrize(
    ("fields", "tokens"),
    [
        ({}, None),
        ({"max_tokens": 100}, 100),
        ({"max_completion_tokens": 200}, 200),
        ({"max_completion_tokens": 200, "max_tokens": None}, 200),
        ({"max_completion_tokens": 200, "max_tokens": 300}, 300),
        ({"max_tokens": 100, "n": 3}, 300),
        ({"n": 3}, None),
    ],
)
def test_a_chat_envelope_knows_the_most_that_may_come_out(fields: dict[str, Any], tokens: int | None) -> None:
    assert OPENAI.read_envelope(dumped(**fields)).max_output_tokens == tokens


@pytest.mark.parametrize(
    ("tags", "read"),
    [(["a", "b", "a"], ("a", "b")), ([], ()), (["a", 5], ()), ("a", ()), (None, ()), ([" ", "\0", "c"], ("c",))],
)
def test_tags_are_a_list_of_texts(tags: object, read: tuple[str, ...]) -> None:
    envelope = OPENAI.read_envelope(dumped(user="customer-7", metadata={"tags": tags}))
    assert (envelope.tags, envelope.customer) == (read, "customer-7")


@pytest.mark.parametrize("codec", [ANTHROPIC, OPENAI])
def test_only_the_model_changes(codec: Codec) -> None:
    body = b'{ "messages" : [ {"content":"\\u00e9 \xc3\xa9","x":1.10} ],"model" : "alias" , "thinking":{"a":1}}'
    outgoing = rewrite(codec, codec.read_envelope(body), 'real "name"')
    assert outgoing.body == body.replace(b'"alias"', b'"real \\"name\\""')
    assert not outgoing.withhold_usage
    assert rewrite(codec, codec.read_envelope(body), "alias").body == body


@pytest.mark.parametrize("codec", [ANTHROPIC, OPENAI])
def test_two_models_go_out_as_the_one_that_was_authorised(codec: Codec) -> None:
    envelope = codec.read_envelope(b'{"model":"cheap","messages":[],"mod\\u0065l":"dear"}')
    assert envelope.model == "dear"
    assert rewrite(codec, envelope, "dear").body == b'{"model":"dear","messages":[]}'


def test_a_messages_stream_is_not_asked_for_anything_more() -> None:
    body = b'{"model":"a","stream":true}'
    assert rewrite(ANTHROPIC, ANTHROPIC.read_envelope(body), "a").body == body


@pytest.mark.parametrize(
    ("asked", "sent", "withhold"),
    [
        (b'{"model":"a"}', b'{"model":"a"}', False),
        (b'{"model":"a","stream":false}', b'{"model":"a","stream":false}', False),
        (
            b'{"model":"a","stream":true}',
            b'{"model":"a","stream":true,"stream_options":{"include_usage":true}}',
            True,
        ),
        (
            b'{"stream_options":null,"model":"a","stream":true}',
            b'{"stream_options":{"include_usage":true},"model":"a","stream":true}',
            True,
        ),
        (
            b'{"model":"a","stream":true,"stream_options":{"include_obfuscation": false}}',
            b'{"model":"a","stream":true,"stream_options":{"include_obfuscation":false,"include_usage":true}}',
            True,
        ),
        (
            b'{"model":"a","stream":true,"stream_options":{"include_usage":false,"x":1.10}}',
            b'{"model":"a","stream":true,"stream_options":{"include_usage":true,"x":1.10}}',
            True,
        ),
        (
            b'{"model":"a","stream":true,"stream_options":{ "include_usage": true }}',
            b'{"model":"a","stream":true,"stream_options":{ "include_usage": true }}',
            False,
        ),
    ],
)
def test_a_chat_stream_is_always_counted_and_shown_only_if_asked(asked: bytes, sent: bytes, withhold: bool) -> None:
    outgoing = rewrite(OPENAI, OPENAI.read_envelope(asked), "a")
    assert (outgoing.body, outgoing.withhold_usage) == (sent, withhold)


@pytest.mark.parametrize("options", [b"5", b'"x"', b"[]", b"true"])
def test_stream_options_are_an_object(options: bytes) -> None:
    with pytest.raises(InvalidRequest, match='"stream_options" must be an object'):
        OPENAI.read_envelope(b'{"model":"a","stream_options":' + options + b"}")


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        (b'{"model":"a", "metadata" : {"tags":["x"]}, "n":1}', b'{"model":"a", "n":1}'),
        (b'{"metadata":{"tags":[]},"model":"a"}', b'{"model":"a"}'),
        (
            b'{"model":"a","metadata":{"run":"\\u00e9","tags":["x",5],"of":"b"},"x": 1.10}',
            b'{"model":"a","metadata":{"run":"\\u00e9","of":"b"},"x": 1.10}',
        ),
        (b'{"model":"a","metadata": {"tags": "text", "n": 1}}', b'{"model":"a","metadata": {"tags": "text", "n": 1}}'),
        (b'{"model":"a","metadata": {"tags": null}}', b'{"model":"a","metadata": {"tags": null}}'),
        (b'{"model":"a","metadata": [ ]}', b'{"model":"a","metadata": [ ]}'),
        (b'{"model":"a","metadata": null}', b'{"model":"a","metadata": null}'),
    ],
)
def test_a_list_of_tags_is_ours_and_does_not_go_to_the_provider(asked: bytes, sent: bytes) -> None:
    assert rewrite(OPENAI, OPENAI.read_envelope(asked), "a").body == sent
