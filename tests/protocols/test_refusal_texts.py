"""What a provider says when it refuses: without keys, without markup, and read in no time however odd it is."""

import pytest

from app.protocols.anthropic_messages.refusals import parse_error
from app.protocols.secrets import without_keys

MANY = 100_000


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Incorrect API key provided: sk-proj-****************abcd.", "Incorrect API key provided: …"),
        ("key AIzaSyA1234567890_abcdefg***xyz is refused", "key … is refused"),
        ("Bearer 0123456789abcdef0123456789abcdef, no", "Bearer …, no"),
        ("of abc***def and abc-***, not of a** or 2*3", "of … and …, not of a** or 2*3"),
        ("billing is not active", "billing is not active"),
    ],
)
def test_keys_are_left_out_whole_or_masked(said: str, shown: str) -> None:
    assert without_keys(said) == shown


@pytest.mark.parametrize("odd", ["ab*" * MANY, "a-" * MANY, "*" * MANY])
def test_no_word_is_too_odd_to_be_looked_through(odd: str) -> None:
    assert without_keys(f"{odd} end").endswith("end")


@pytest.mark.parametrize(
    ("page", "text"),
    [
        (b"<html><style>a{}</style><script>if (a < b) {}</script><p>Bad gateway</p>", "Bad gateway"),
        (b"Over<script>never ended", "Over"),
        (b"Busy" + b"<script" * MANY, "Busy"),
        (b"Busy" + b"<" * MANY, "Busy<<<"),
    ],
)
def test_a_page_is_shown_as_its_text_though_its_elements_do_not_end(page: bytes, text: str) -> None:
    assert parse_error(503, page, "anthropic").message.startswith(f"anthropic answered 503: {text}")
