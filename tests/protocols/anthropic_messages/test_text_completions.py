"""Text completions: nothing is counted by the provider, so what passes is measured."""

import pytest

from app.base.errors import InvalidRequest
from app.protocols.anthropic_messages.dialect import MessagesDialect
from app.protocols.anthropic_messages.text_completions import TextCompletions
from app.protocols.codec import UsageReport

CODEC = TextCompletions()
PROMPT = (
    b'{"model":"claude-2.1", "prompt":"\\n\\nHuman: Hello\\n\\nAssistant:", "max_tokens_to_sample":256, "stream":true}'
)
# As the public API reference writes them.
WHOLE = (
    b'{"type":"completion","id":"compl_018CKm6gsux7P8yMcwZbeCPw","completion":" Hello! My name is Claude.",'
    b'"stop_reason":"stop_sequence","model":"claude-2.1"}'
)
STREAM = (
    b'event: completion\ndata: {"type":"completion","id":"compl_1","completion":" Hello","stop_reason":null,'
    b'"model":"claude-2.1"}\n\n'
    b'event: ping\ndata: {"type":"ping"}\n\n'
    b'event: completion\ndata: {"type":"completion","id":"compl_1","completion":" w\xc3\xbcrld","stop_reason":null}\n\n'
    b'event: completion\ndata: {"type":"completion","id":"compl_1","completion":"","stop_reason":"stop_sequence"}\n\n'
)


def test_the_most_that_may_be_written_is_read_and_only_the_model_is_rewritten() -> None:
    envelope = CODEC.read_envelope(PROMPT)
    assert (envelope.model, envelope.stream, envelope.max_output_tokens) == ("claude-2.1", True, 256)
    body = CODEC.rewrite(envelope, "claude-2.0", MessagesDialect(), ()).body
    assert body == PROMPT.replace(b"claude-2.1", b"claude-2.0")
    with pytest.raises(InvalidRequest) as refused:
        CODEC.read_envelope(PROMPT.replace(b"256", b'"256"'))
    assert refused.value.param == "max_tokens_to_sample"


def test_a_whole_answer_is_measured() -> None:
    assert CODEC.scan_response(WHOLE) == UsageReport(None, final=False, output_bytes=26, finish_reason="stop_sequence")
    assert CODEC.scan_response(b"<html>").output_bytes == 0


@pytest.mark.parametrize("at", range(len(STREAM)))
def test_a_stream_is_measured_and_its_end_is_known_wherever_it_is_split(at: int) -> None:
    scanner = CODEC.stream_scanner(withhold_usage=False)
    passed = scanner.feed(STREAM[:at])
    assert not scanner.complete
    assert passed + scanner.feed(STREAM[at:]) + scanner.flush() == STREAM
    assert scanner.complete
    assert scanner.report() == UsageReport(None, final=False, output_bytes=13, finish_reason="stop_sequence")


def test_an_error_in_the_stream_is_its_end() -> None:
    scanner = CODEC.stream_scanner(withhold_usage=False)
    scanner.feed(b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n')
    assert scanner.failed
    scanner = CODEC.stream_scanner(withhold_usage=False)
    scanner.feed(b"event: completion\ndata: no json\n\n")
    assert not scanner.complete
