"""From credentials to a principal, and every way to be refused."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.base.errors import Forbidden, RateLimited, StorageUnavailable, Unauthenticated
from app.base.ids import KeyId, TeamId
from app.domain.access import Principal
from app.domain.keys import VirtualKey, digest_key, mint_key
from app.domain.teams import Team
from app.domain.tenancy import Level
from app.domain.wrong_keys import WRONG_KEYS_PER_MINUTE
from app.gateway.authenticate import Authenticator
from app.gateway.call import Knock
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
    return Authenticator(principals, PEPPER, MASTER, NOW)


def issue(principals: KnownPrincipals, key: VirtualKey = KEY, team: Team | None = None) -> str:
    secret = mint_key()
    principals.by_digest[digest_key(PEPPER, secret)] = Principal(key, team)
    return secret


def knock(*credentials: str, route: str = "/v1/messages", at: datetime = NOW, address: str = "10.0.0.1") -> Knock:
    return Knock(credentials, route, address, at)


async def test_a_key_names_its_principal(authenticator: Authenticator, principals: KnownPrincipals) -> None:
    secret = issue(principals)
    assert (await authenticator.authenticate(knock(secret))).key.key_id == "key_1"


async def test_the_same_key_in_two_headers_is_one_key(
    authenticator: Authenticator, principals: KnownPrincipals
) -> None:
    secret = issue(principals)
    assert (await authenticator.authenticate(knock(secret, secret))).key.key_id == "key_1"


async def test_a_key_of_ours_wins_over_a_foreign_one(authenticator: Authenticator, principals: KnownPrincipals) -> None:
    secret = issue(principals)
    assert (await authenticator.authenticate(knock("sk-ant-oat-personal", secret))).key.key_id == "key_1"


async def test_two_different_keys_of_ours_are_refused(
    authenticator: Authenticator, principals: KnownPrincipals
) -> None:
    first, second = issue(principals), issue(principals)
    with pytest.raises(Unauthenticated, match="two different valid keys"):
        await authenticator.authenticate(knock(first, second))


async def test_the_master_key_is_the_admin(authenticator: Authenticator) -> None:
    assert (await authenticator.authenticate(knock(MASTER))).is_admin


@pytest.mark.parametrize(
    ("credentials", "code"),
    [((), "missing_api_key"), (("sk-kh-wrong",), "invalid_api_key"), (("hello",), "invalid_api_key")],
)
async def test_nothing_that_cannot_be_a_key_reaches_a_store(
    authenticator: Authenticator, principals: KnownPrincipals, credentials: tuple[str, ...], code: str
) -> None:
    with pytest.raises(Unauthenticated) as caught:
        await authenticator.authenticate(knock(*credentials))
    assert caught.value.code == code
    assert principals.asked == []


async def test_an_unknown_key_is_named_by_its_last_four_alone(authenticator: Authenticator) -> None:
    unknown = mint_key()
    with pytest.raises(Unauthenticated) as caught:
        await authenticator.authenticate(knock(unknown))
    assert unknown[-4:] in caught.value.message
    assert unknown not in caught.value.message


async def test_a_key_below_a_blocked_level_is_told_which(
    authenticator: Authenticator, principals: KnownPrincipals
) -> None:
    secret = mint_key()
    for kind in ("user", "organization"):
        level = Level(kind, f"{kind}:x", f'{kind} "x"', blocked=True)
        principals.by_digest[digest_key(PEPPER, secret)] = Principal(KEY, levels=(level,))
        with pytest.raises(Unauthenticated, match=f'the {kind} "x" of key "…abcd" is blocked') as refused:
            await authenticator.authenticate(knock(secret))
        assert refused.value.code == "blocked_api_key"


async def test_an_expired_a_blocked_and_a_key_of_a_blocked_team_say_which_they_are(
    authenticator: Authenticator, principals: KnownPrincipals
) -> None:
    expired = issue(principals, replace(KEY, expires_at=NOW))
    blocked = issue(principals, replace(KEY, blocked=True))
    of_team = issue(principals, KEY, Team(TeamId("team_1"), alias="research", blocked=True))
    for secret, code, said in (
        (expired, "expired_api_key", "expired on 2026-11-21"),
        (blocked, "blocked_api_key", "blocked"),
        (of_team, "blocked_api_key", '"research"'),
    ):
        with pytest.raises(Unauthenticated, match=said) as caught:
            await authenticator.authenticate(knock(secret))
        assert caught.value.code == code


async def test_a_key_works_until_the_very_instant_of_its_expiry(
    authenticator: Authenticator, principals: KnownPrincipals
) -> None:
    secret = issue(principals, replace(KEY, expires_at=NOW + timedelta(microseconds=1)))
    assert await authenticator.authenticate(knock(secret))


async def test_a_route_outside_allowed_routes_is_forbidden(
    authenticator: Authenticator, principals: KnownPrincipals
) -> None:
    secret = issue(principals, replace(KEY, allowed_routes=("openai_routes",)))
    assert await authenticator.authenticate(knock(secret, route="/v1/chat/completions"))
    with pytest.raises(Forbidden, match="/v1/messages"):
        await authenticator.authenticate(knock(secret))


async def test_an_address_that_tries_many_keys_must_wait_out_the_minute(
    authenticator: Authenticator, principals: KnownPrincipals
) -> None:
    in_use, cold = issue(principals), issue(principals)
    assert await authenticator.authenticate(knock(in_use))
    for _ in range(WRONG_KEYS_PER_MINUTE):
        with pytest.raises(Unauthenticated):
            await authenticator.authenticate(knock(mint_key()))
    asked = len(principals.asked)
    assert asked == WRONG_KEYS_PER_MINUTE + 1
    with pytest.raises(RateLimited) as caught:
        await authenticator.authenticate(knock(mint_key()))
    assert caught.value.retry_after_s == 30
    with pytest.raises(RateLimited):
        await authenticator.authenticate(knock(cold))
    assert len(principals.asked) == asked
    assert await authenticator.authenticate(knock(in_use)), "a key in use behind the same address goes on working"
    with pytest.raises(Unauthenticated):
        await authenticator.authenticate(knock(mint_key(), address="10.0.0.2"))
    with pytest.raises(Unauthenticated):
        await authenticator.authenticate(knock(mint_key(), at=NOW + timedelta(minutes=1)))


async def test_a_store_that_is_away_is_said_and_not_taken_for_a_wrong_key(
    authenticator: Authenticator, principals: KnownPrincipals
) -> None:
    principals.down = True
    with pytest.raises(StorageUnavailable):
        await authenticator.authenticate(knock(mint_key()))
