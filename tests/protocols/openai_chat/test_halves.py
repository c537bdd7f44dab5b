"""Hosts that cut their texts in the middle of a character."""

import pytest

from app.protocols.conversation import Text
from app.protocols.openai_chat.halves import Halves
from tests.protocols.openai_chat.builders import CODEC, reading
from tests.protocols.openai_chat.test_host_answers import chunk, generation


@pytest.mark.parametrize("between", [b"", chunk({"role": "assistant"})])
def test_a_character_whose_halves_come_in_two_chunks_is_whole(between: bytes) -> None:
    # json.dumps writes each half as an escape of its own, as JavaScript does.
    halves = (
        chunk({"content": "Look: \ud83d"})
        + between
        + chunk({"content": "\ude00\ud83d"})
        + chunk({"content": "\ude80!"})
    )
    assert generation(halves + chunk({}, "stop")).blocks == (Text("Look: 😀🚀!"),)


def test_half_a_character_takes_no_text_with_it() -> None:
    ends = chunk({"content": "cut \ud83d"}) + chunk({"content": "and \ude00 on"}, "stop")
    assert generation(chunk({"content": "\ude00No, "}) + ends).blocks == (Text("No, cut and 😀 on"),)
    body = b'{"choices":[{"message":{"content":"cut \\ud83d \\\\ud83d \\ud83d\\ude00"},"finish_reason":"stop"}]}'
    assert CODEC.parse_response(body, reading()).blocks == (Text("cut  \\ud83d 😀"),)


def test_what_has_no_halves_is_left_alone() -> None:
    data = rb'"\ud83d\ude00 \\ud83d \" \u0041 \n'
    assert Halves().joined(data) == data
