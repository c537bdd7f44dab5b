"""A host's answer in a client's words: whole, streamed, and the stream cut at every byte."""

from pathlib import Path

import msgspec
import pytest

from app.protocols.codec import Reading
from app.protocols.events import Generation, unfold
from app.protocols.translation import Translation, report_of
from tests.translation.features import ANSWERS, CITED, thoughtful
from tests.translation.paths import CODECS, HOSTS, NAMES, asked

GOLDEN = Path(__file__).parent / "golden" / "answers"
CASES: dict[str, Generation] = {**ANSWERS, "cited": CITED}


def generation_of(case: str, host: str) -> Generation:
    return thoughtful(HOSTS[host][0].issuer) if case == "thoughtful" else CASES[case]


def host_bytes(case: str, host: str, *, stream: bool) -> bytes:
    """What such a host sends: its own renderer, as the codec goes both ways."""
    generation = generation_of(case, host)
    if not stream:
        return CODECS[host].render_response(generation, asked(host))
    renderer = CODECS[host].stream_renderer(asked(host, stream=True))
    return b"".join(renderer.feed(event) for event in unfold(generation))


def translation(front: str, host: str) -> Translation:
    parser = CODECS[host].stream_parser(Reading(HOSTS[host][0]))
    return Translation(parser, CODECS[front].stream_renderer(asked(front, stream=True)))


@pytest.mark.parametrize("host", NAMES)
@pytest.mark.parametrize("case", [*CASES, "thoughtful"])
def test_each_answer_is_told_to_every_client_as_the_golden_file_has_it(case: str, host: str, golden: bool) -> None:
    generation = CODECS[host].parse_response(host_bytes(case, host, stream=False), Reading(HOSTS[host][0]))
    told: dict[str, object] = {"host": msgspec.Raw(host_bytes(case, host, stream=False))}
    for front in NAMES:
        if front == host:
            continue
        whole = CODECS[front].render_response(generation, asked(front))
        streaming = translation(front, host)
        streamed = streaming.feed(host_bytes(case, host, stream=True)) + streaming.flush()
        told[front] = {"whole": msgspec.Raw(whole), "streamed": streamed.decode().splitlines()}
    text = msgspec.json.format(msgspec.json.encode(told), indent=1) + b"\n"
    path = GOLDEN / f"{case}.{host}.json"
    if golden:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    assert path.read_bytes() == text, f"pytest {__file__} --update-golden"


@pytest.mark.parametrize("front", NAMES)
@pytest.mark.parametrize("host", NAMES)
def test_a_stream_says_the_same_wherever_its_bytes_are_cut(front: str, host: str) -> None:
    """Each byte of a host's stream is a cut for one of its clients, in turn: what is read does not depend on them. For
    each of them the stream comes byte by byte too."""
    fronts = [name for name in NAMES if name != host]
    if front == host:
        return
    for case in ("text", "parallel_tools", "thoughtful", "cached"):
        body = host_bytes(case, host, stream=True)
        streaming = translation(front, host)
        expected = streaming.feed(body) + streaming.flush()
        for cut in range(1 + fronts.index(front), len(body), len(fronts)):
            streaming = translation(front, host)
            told = streaming.feed(body[:cut]) + streaming.feed(body[cut:]) + streaming.flush()
            assert told == expected, f"{case} cut at byte {cut}"
            assert streaming.complete
        bytewise = translation(front, host)
        told = b"".join(bytewise.feed(body[at : at + 1]) for at in range(len(body))) + bytewise.flush()
        assert told == expected


@pytest.mark.parametrize("host", NAMES)
def test_a_stream_and_the_whole_answer_tell_the_same_usage(host: str) -> None:
    for case in CASES:
        reading = Reading(HOSTS[host][0])
        whole = report_of(CODECS[host].parse_response(host_bytes(case, host, stream=False), reading))
        streaming = translation("openai_chat" if host != "openai_chat" else "anthropic_messages", host)
        streaming.feed(host_bytes(case, host, stream=True))
        streaming.flush()
        assert streaming.report().usage == whole.usage
        assert streaming.report().finish_reason == whole.finish_reason


@pytest.mark.parametrize("front", NAMES)
@pytest.mark.parametrize("host", NAMES)
def test_a_stream_that_breaks_off_never_looks_finished(front: str, host: str) -> None:
    if front == host:
        return
    body = host_bytes("parallel_tools", host, stream=True)
    for cut in range(len(body) // 2):
        streaming = translation(front, host)
        streaming.feed(body[:cut])
        streaming.flush()
        assert not streaming.complete, f"cut at byte {cut}"
