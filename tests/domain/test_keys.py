"""Keys: minted once, told from typos without a store, stored as a digest alone."""

import hashlib
import hmac
import string
from datetime import timedelta

import pytest

from app.domain.keys import KEY_LENGTH, KEY_PREFIX, digest_imported, digest_key, key_state, may_be_key, mint_key
from tests.domain.records import EPOCH, virtual_key

ALPHABET = string.digits + string.ascii_letters


def test_a_minted_key_has_the_form_that_secret_scanners_look_for() -> None:
    key = mint_key()

    assert key.startswith("sk-kh-")
    assert len(key) == KEY_LENGTH == 6 + 43 + 6
    assert set(key[6:]) <= set(ALPHABET)
    assert may_be_key(key)


def test_keys_do_not_repeat() -> None:
    assert len({mint_key() for _ in range(1000)}) == 1000


def test_every_typo_of_one_character_is_refused() -> None:
    key = mint_key()

    wrong = [
        key[:place] + letter + key[place + 1 :]
        for place in range(len(KEY_PREFIX), KEY_LENGTH)
        for letter in ALPHABET
        if letter != key[place]
    ]
    assert [typo for typo in wrong if may_be_key(typo)] == []


def test_neighbours_swapped_a_letter_lost_and_a_letter_doubled_are_refused() -> None:
    key = mint_key()

    for place in range(len(KEY_PREFIX), KEY_LENGTH - 1):
        swapped = key[:place] + key[place + 1] + key[place] + key[place + 2 :]
        assert swapped == key or not may_be_key(swapped)
        assert not may_be_key(key[:place] + key[place + 1 :])
        assert not may_be_key(key[:place] + key[place] + key[place:])


@pytest.mark.parametrize(
    "text", ["", "sk-kh-", "Bearer sk-abc", "pk-1234", "sk-ключ", "SK-abc", " sk-abc", "sk-kh-" + "0" * 49]
)
def test_what_cannot_be_a_key_is_told_from_its_text(text: str) -> None:
    assert not may_be_key(text)


def test_a_key_that_an_admin_chose_has_no_checksum() -> None:
    assert may_be_key("sk-chosen-by-the-admin-0001")


def test_the_digest_is_an_hmac_over_the_sha256_that_litellm_stores() -> None:
    key, pepper = "sk-chosen-by-the-admin-0001", b"pepper"
    litellm_digest = hashlib.sha256(key.encode()).digest()

    assert digest_key(pepper, key) == hmac.new(pepper, litellm_digest, "sha256").digest()
    assert digest_imported(pepper, litellm_digest) == digest_key(pepper, key)
    assert digest_key(b"other", key) != digest_key(pepper, key)


def test_a_key_expires_at_its_instant_and_blocked_comes_first() -> None:
    key = virtual_key(expires_at=EPOCH)

    assert key_state(key, EPOCH - timedelta(microseconds=1)) == "active"
    assert key_state(key, EPOCH) == "expired"
    assert key_state(virtual_key(expires_at=EPOCH, blocked=True), EPOCH) == "blocked"
    assert key_state(virtual_key(), EPOCH) == "active"
