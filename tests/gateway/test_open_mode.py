"""Open mode: who calls without a key, and who needs one all the same."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from app.base.errors import Unauthenticated
from app.base.ids import KeyId
from app.domain.access import Principal
from app.domain.keys import VirtualKey, digest_key, mint_key
from app.domain.wrong_keys import WRONG_KEYS_PER_MINUTE
from app.gateway.authenticate import OPEN_KEY_ID, Authenticator, anyone_here
from app.gateway.call import Knock
from app.protocols.codec import Header
from tests.fakes.ports import KnownPrincipals

PEPPER = b"pepper"
MASTER = "sk-master-of-this-house-0123"
NOW = datetime(2026, 11, 21, 12, 0, 30, tzinfo=UTC)
KEY = VirtualKey(key_id=KeyId("key_1"), last_four="abcd", created_at=NOW)


@pytest.fixture
def principals() -> KnownPrincipals:
    return KnownPrincipals()


@pytest.fixture
def authenticator(principals: KnownPrincipals) -> Authenticator:
    return Authenticator(principals, PEPPER, MASTER, NOW, anyone_here("me", NOW))


def knock(*credentials: str, header: Header = (b"accept", b"*/*")) -> Knock:
    return Knock(credentials, "/v1/messages", "127.0.0.1", NOW, [header])


@pytest.mark.parametrize("credentials", [(), ("anything",), ("sk-anything",)])
async def test_anyone_calls_as_the_owner_of_the_machine_and_never_as_admin(
    authenticator: Authenticator, credentials: tuple[str, ...]
) -> None:
    principal = await authenticator.authenticate(knock(*credentials))
    assert (principal.key.key_id, principal.key.user_id, principal.is_admin) == (OPEN_KEY_ID, "me", False)


async def test_wrong_keys_are_not_counted(authenticator: Authenticator) -> None:
    for number in range(WRONG_KEYS_PER_MINUTE + 5):
        assert (await authenticator.authenticate(knock(f"sk-anything-{number}"))).key.key_id == OPEN_KEY_ID


@pytest.mark.parametrize("name", [b"origin", b"sec-fetch-site", b"forwarded", b"via", b"x-forwarded-for", b"x-real-ip"])
async def test_a_web_page_and_a_proxy_need_a_key(authenticator: Authenticator, name: bytes) -> None:
    for credentials in ((), ("anything",)):
        with pytest.raises(Unauthenticated):
            await authenticator.authenticate(knock(*credentials, header=(name, b"x")))
    assert (await authenticator.authenticate(knock(MASTER, header=(name, b"x")))).is_admin


async def test_a_key_of_ours_is_still_itself_and_a_blocked_one_is_still_refused(
    authenticator: Authenticator, principals: KnownPrincipals
) -> None:
    secret = mint_key()
    principals.by_digest[digest_key(PEPPER, secret)] = Principal(KEY)
    assert (await authenticator.authenticate(knock(secret))).key.key_id == "key_1"
    principals.by_digest[digest_key(PEPPER, secret)] = Principal(replace(KEY, blocked=True))
    with pytest.raises(Unauthenticated, match="blocked"):
        await authenticator.authenticate(knock(secret))
