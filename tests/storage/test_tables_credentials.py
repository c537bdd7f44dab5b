"""Provider credentials at rest."""

import pytest

from app.base.secret import Secret
from app.storage.postgres.credentials import CredentialCipher, Undecipherable

VALUES = {"api_key": "sk-ant-one", "extra_headers": {"x-team": "blue"}}


def test_a_credential_comes_back_and_is_nowhere_in_the_clear() -> None:
    cipher = CredentialCipher(b"secret of the house")
    sealed, again = cipher.seal("cred_1", VALUES), cipher.seal("cred_1", VALUES)
    assert sealed is not None
    assert again is not None
    assert cipher.open("cred_1", sealed) == VALUES
    assert b"sk-ant" not in sealed.ciphertext
    assert sealed.nonce != again.nonce
    assert sealed.ciphertext != again.ciphertext
    assert cipher.seal("cred_1", {}) is None
    assert cipher.open("cred_1", None) == {}


def test_another_secret_and_a_moved_row_are_told_apart() -> None:
    sealed = CredentialCipher(b"secret of the house").seal("cred_1", VALUES)
    with pytest.raises(Undecipherable, match="another KEYHOUSE_SECRET"):
        CredentialCipher(b"another").open("cred_1", sealed)
    with pytest.raises(Undecipherable, match="changed outside Keyhouse"):
        CredentialCipher(b"secret of the house").open("cred_2", sealed)


def test_what_was_sealed_under_a_former_secret_is_read_and_sealed_anew_under_the_present_one() -> None:
    former, present = CredentialCipher(b"former"), CredentialCipher(b"present", [b"former"])
    ciphertext, nonce = former.encrypt("cred_1", Secret("sk-ant-one"))
    assert present.decrypt("cred_1", ciphertext, nonce, former.key_id) == Secret("sk-ant-one")
    anew = present.seal("cred_1", VALUES)
    assert anew is not None
    assert anew.encryption_key_id == present.key_id != former.key_id
