"""Streams as providers send them are understood by the SDK of every client, or fail there with the provider's words."""

from pathlib import Path

import anthropic
import ollama
import openai
import pytest
from google.genai import errors as google

from app.protocols.codec import Reading
from app.protocols.translation import Translation
from tests.translation.paths import CODECS, HOSTS, NAMES, asked
from tests.translation.sdk_answers import SDKS

RECORDED = Path(__file__).parents[1] / "protocols" / "fixtures"
STREAMS = sorted(path for host in NAMES for path in (RECORDED / host).glob("*.*") if path.suffix in {".sse", ".ndjson"})
FAILURES = (anthropic.APIError, openai.APIError, google.APIError, ollama.ResponseError)


def told(front: str, path: Path, size: int) -> tuple[bytes, Translation]:
    host, body = path.parent.name, path.read_bytes()
    parser = CODECS[host].stream_parser(Reading(HOSTS[host][0]))
    streaming = Translation(parser, CODECS[front].stream_renderer(asked(front, stream=True)))
    written = b"".join(streaming.feed(body[at : at + size]) for at in range(0, len(body), size))
    return written + streaming.flush(), streaming


@pytest.mark.parametrize("front", NAMES)
@pytest.mark.parametrize("path", STREAMS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_recorded_stream_is_understood_by_the_clients_sdk(path: Path, front: str) -> None:
    if path.parent.name == front:
        return
    written, streaming = told(front, path, 1 << 20)
    assert told(front, path, 1)[0] == written
    if streaming.failed:
        with pytest.raises(FAILURES):
            SDKS[front](written, True)
    elif streaming.complete and streaming.report().usage is not None:
        heard = SDKS[front](written, True)
        assert heard.finish
        assert heard.output_tokens == streaming.report().usage.output  # type: ignore[union-attr]
