"""Ids: told apart, sortable by time, and readable as a UUIDv7 in other digits."""

import time

from app.base.ids import new_id


def test_no_two_ids_are_alike() -> None:
    assert len({new_id("req") for _ in range(20_000)}) == 20_000


def test_an_id_made_later_sorts_later() -> None:
    ids = []
    for _ in range(5):
        ids.append(new_id("req"))
        time.sleep(0.002)  # an id knows its millisecond
    assert ids == sorted(ids)


def test_an_id_holds_the_version_and_variant_of_a_uuid_7() -> None:
    digits = new_id("team").removeprefix("team_")
    bits = 0
    for digit in digits:
        bits = bits << 5 | "0123456789abcdefghjkmnpqrstvwxyz".index(digit)
    assert len(digits) == 26
    assert (bits >> 76 & 0xF, bits >> 62 & 0b11) == (7, 0b10)
