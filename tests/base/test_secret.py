"""A secret shows itself nowhere."""

import dataclasses

import msgspec
import pytest

from app.base.secret import Secret


@dataclasses.dataclass
class Holder:
    password: Secret


def test_no_way_of_printing_shows_it() -> None:
    secret = Secret("hunter2")
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret!r}", repr(Holder(secret)), repr({"a": [secret]})):
        assert "hunter2" not in shown


def test_it_cannot_be_encoded_by_accident() -> None:
    with pytest.raises(TypeError):
        msgspec.json.encode(Secret("hunter2"))


def test_it_is_revealed_on_purpose_and_compared_by_value() -> None:
    assert Secret("a").reveal() == "a"
    assert Secret("a") == Secret("a") != Secret("b")
    assert len({Secret("a"), Secret("a")}) == 1
