"""Usage that passes by, errors both ways, and what Ollama's protocol does not have."""

import json
from datetime import UTC, datetime

import pytest

from app.base.errors import BudgetExhausted, NotFound, RateLimited
from app.domain.usage import Usage
from app.protocols.codec import Codec
from tests.protocols.ollama.builders import OLLAMA
from tests.protocols.streams import answer, feed_all, names


def test_it_is_a_codec() -> None:
    codec: Codec = OLLAMA
    assert (codec.name, codec.stream_type, codec.header_prefixes) == ("ollama", b"application/x-ndjson", ())


@pytest.mark.parametrize(
    ("name", "usage", "output_bytes", "finish"),
    [
        ("chat", Usage(input=26, output=282), 20, "stop"),
        ("thinking_and_tools", Usage(input=169, output=15), 34 + 85, "stop"),
        ("generate", Usage(input=17, output=63), 10, "length"),
    ],
)
def test_usage_is_read_as_the_bytes_pass(name: str, usage: Usage, output_bytes: int, finish: str) -> None:
    body = answer(f"ollama/{name}.ndjson")
    for cut in range(len(body)):
        scanner = OLLAMA.stream_scanner(withhold_usage=False)
        passed, report = feed_all(scanner, body[:cut], body[cut:])
        assert passed == body
        assert (report.usage, report.final, report.output_bytes) == (usage, True, output_bytes)
        assert report.finish_reason == finish
        assert (scanner.ended, scanner.failed, scanner.complete) == (True, False, True)
    whole = OLLAMA.scan_response(answer(f"ollama/{name}.json"))
    assert (whole.usage, whole.final, whole.finish_reason) == (usage, True, finish)
    assert whole.output_bytes == output_bytes


def test_an_error_line_is_a_failure() -> None:
    scanner = OLLAMA.stream_scanner(withhold_usage=False)
    feed_all(scanner, answer("ollama/error_midway.ndjson"))
    assert (scanner.failed, scanner.ended, scanner.at_boundary) == (True, False, True)
    assert scanner.report().usage is None


def test_a_cut_line_is_no_boundary() -> None:
    scanner = OLLAMA.stream_scanner(withhold_usage=False)
    body = answer("ollama/chat.ndjson")
    scanner.feed(body[:-1])
    assert not scanner.at_boundary
    assert not scanner.complete
    scanner.feed(body[-1:])
    assert scanner.at_boundary


@pytest.mark.parametrize("name", [*names("ollama", "json"), *names("ollama", "ndjson")])
def test_no_fixture_is_unreadable(name: str) -> None:
    for line in answer(name).splitlines():
        json.loads(line)


def test_an_unreadable_answer_reports_nothing() -> None:
    assert OLLAMA.scan_response(b"<html>").usage is None
    assert OLLAMA.scan_response(b'{"message":5,"eval_count":3}').usage == Usage(output=3)


def test_a_refusal_of_the_host_keeps_its_words() -> None:
    error = OLLAMA.parse_error(404, answer("ollama/error.json"), "ollama")
    assert (error.status, error.message) == (404, 'model "llama9" not found, try pulling it first')
    assert OLLAMA.parse_error(401, b'{"error":"unauthorized"}', "ollama").status == 502


def test_errors_are_a_text_and_a_status() -> None:
    told = OLLAMA.render_error(RateLimited("slowly", retry_after_s=3), "req_1")
    assert (told.status, told.body) == (429, b'{"error":"slowly"}')
    assert (b"retry-after", b"3") in told.headers
    assert OLLAMA.render_stream_error(RateLimited("slowly"), "req_1") == b'{"error":"slowly"}\n'
    spent = BudgetExhausted(
        "spent",
        limit_nanousd=1,
        spent_nanousd=1,
        period=None,
        resets_at=datetime(2026, 1, 1, tzinfo=UTC),
        retry_after_s=None,
    )
    assert OLLAMA.render_error(spent, "r").status == 402
    assert type(OLLAMA)(429).render_error(spent, "r").status == 429


def test_there_is_no_count_of_tokens() -> None:
    with pytest.raises(NotFound):
        OLLAMA.render_count(5)
