"""A program is signed in by a code that a person approves, and stays so by tokens that are used once."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import Table, update

from app.admin.device_sign_in import DeviceSignIn
from app.admin.keys import Keys
from app.api.sign_in.desk import SignInDesk
from app.base.errors import NotFound, RateLimited
from app.base.ids import new_id
from app.domain.sign_in import mint_user_code, parse_user_code, show_user_code
from app.storage.postgres.tables import device_authorizations, sign_ins
from tests.api.support import ADMIN, Answer, Door

pytestmark = pytest.mark.services

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
PROGRAM = {"user-agent": "claude-code/2.1.329", "content-type": "application/x-www-form-urlencoded"}


async def form(door: Door, path: str, **fields: str) -> Answer:
    return await door.post(path, urlencode(fields).encode(), PROGRAM)


async def begin(door: Door) -> dict[str, Any]:
    answer = await form(door, "/oauth/device_authorization", surface="claude_code", novelty="1")
    assert answer.status == 200, answer.text
    told: dict[str, Any] = answer.fields
    return told


async def poll(door: Door, begun: Mapping[str, Any]) -> Answer:
    return await form(door, "/oauth/token", grant_type=DEVICE, device_code=begun["device_code"])


async def refresh(door: Door, token: str) -> Answer:
    return await form(door, "/oauth/token", grant_type="refresh_token", refresh_token=token)


async def approve(door: Door, begun: Mapping[str, Any], **fields: object) -> Answer:
    return await door.post("/device/approve", {"user_code": begun["user_code"], **fields})


async def new_person(door: Door, *, teams: int = 1) -> tuple[str, list[str]]:
    mark = new_id("dev")
    await door.post("/user/new", {"user_id": mark, "user_email": f"{mark}@example.com", "auto_create_key": False})
    named = [f"team-{number}-{mark}" for number in range(teams)]
    for team_id in named:
        await door.post("/team/new", {"team_id": team_id, "models": ["file-claude"]})
        member = {"user_id": mark, "role": "user"}
        assert (await door.post("/team/member_add", {"team_id": team_id, "member": member})).status == 200
    return mark, named


async def signed_in(door: Door, user_id: str) -> dict[str, Any]:
    begun = await begin(door)
    approved = await approve(door, begun, user_id=user_id)
    assert approved.status == 200, approved.text
    answer = await poll(door, begun)
    assert answer.status == 200, answer.text
    tokens: dict[str, Any] = answer.fields
    return tokens


async def key_of(door: Door, secret: str) -> dict[str, Any]:
    answer = await door.get("/key/info", key=secret)
    return answer.fields["info"] if answer.status == 200 else {}


async def age(door: Door, table: Table, column: str, which: Mapping[str, object], by: timedelta) -> None:
    """Let time pass for one row."""
    named = [table.c[name] == value for name, value in which.items()]
    async with door.engine.begin() as connection:
        await connection.execute(update(table).where(*named).values({column: table.c[column] - by}))


def refused(answer: Answer) -> tuple[int, str]:
    assert answer.fields["error_description"]
    assert answer.headers["cache-control"] == "no-store"
    return answer.status, answer.fields["error"]


async def test_a_program_is_told_where_to_sign_in_at_the_address_by_which_it_called(admin_door: Door) -> None:
    told = await admin_door.get("/.well-known/oauth-authorization-server", headers={"host": "llm.example.com:4000"})
    base = "http://llm.example.com:4000"
    assert told.fields["issuer"] == base
    assert told.fields["device_authorization_endpoint"] == f"{base}/oauth/device_authorization"
    assert told.fields["token_endpoint"] == f"{base}/oauth/token"
    assert told.fields["revocation_endpoint"] == f"{base}/oauth/revoke"
    assert told.fields["grant_types_supported"] == [DEVICE, "refresh_token"]
    assert told.fields["gateway_protocol_version"] == 1


async def test_a_person_approves_the_code_and_the_program_gets_a_key_of_that_person_for_an_hour(
    admin_door: Door,
) -> None:
    user_id, [team_id] = await new_person(admin_door)
    own = (await admin_door.new_key(user_id=user_id))["key"]
    begun = await begin(admin_door)
    assert begun["verification_uri_complete"] == f"{begun['verification_uri']}?user_code={begun['user_code']}"
    assert (begun["expires_in"], begun["interval"]) == (600, 5)
    assert refused(await poll(admin_door, begun)) == (400, "authorization_pending")
    assert refused(await poll(admin_door, begun)) == (400, "slow_down")

    person = {"authorization": f"Bearer {own}"}
    shown = await admin_door.get("/device/info", person, user_code=begun["user_code"].lower().replace("-", " "))
    assert (shown.fields["client"], shown.fields["address"]) == ("claude-code/2.1.329", "203.0.113.9")
    approved = await admin_door.post("/device/approve", {"user_code": begun["user_code"]}, person)
    assert approved.status == 200, approved.text

    tokens = (await poll(admin_door, begun)).fields
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 3600)
    assert tokens["email"] == f"{user_id}@example.com"
    key = await key_of(admin_door, tokens["access_token"])
    assert (key["user_id"], key["team_id"], key["allowed_routes"]) == (user_id, team_id, ["llm_api_routes"])
    assert key["key_alias"].startswith(f"claude-code sign-in {user_id}")
    assert refused(await poll(admin_door, begun)) == (400, "invalid_grant"), "a code is good for one key"
    again = await admin_door.post("/key/generate", {}, {"authorization": f"Bearer {tokens['access_token']}"})
    assert again.status == 403, "it opens model routes alone"


async def test_of_polls_at_the_same_moment_one_gets_a_key(admin_door: Door) -> None:
    user_id, _ = await new_person(admin_door)
    begun = await begin(admin_door)
    await approve(admin_door, begun, user_id=user_id)
    answers = await asyncio.gather(*(poll(admin_door, begun) for _ in range(6)))
    assert sorted(answer.status for answer in answers) == [200, 400, 400, 400, 400, 400]
    assert (await admin_door.get("/key/list", user_id=user_id)).fields["total_count"] == 1


async def test_each_refresh_gives_the_same_key_a_new_secret_and_a_used_token_ends_the_sign_in(
    admin_door: Door,
) -> None:
    user_id, _ = await new_person(admin_door)
    first = await signed_in(admin_door, user_id)
    second = (await refresh(admin_door, first["refresh_token"])).fields
    assert (await admin_door.get("/key/list", user_id=user_id)).fields["total_count"] == 1
    assert [one async for one in _served(admin_door, first, second)] == [True, True], "what runs goes on for its hour"

    assert refused(await refresh(admin_door, first["refresh_token"])) == (401, "invalid_grant")
    assert refused(await refresh(admin_door, second["refresh_token"])) == (401, "invalid_grant")
    assert [one async for one in _served(admin_door, first, second)] == [False, False]


async def _served(door: Door, *signed: Mapping[str, Any]) -> Any:
    """Whether the access tokens are keys that live: those get as far as the rule about routes."""
    for tokens in signed:
        answer = await door.get("/key/self", {"authorization": f"Bearer {tokens['access_token']}"})
        yield answer.status == 403


async def test_of_refreshes_at_the_same_moment_with_one_token_at_most_one_is_served(admin_door: Door) -> None:
    user_id, _ = await new_person(admin_door)
    tokens = await signed_in(admin_door, user_id)
    answers = await asyncio.gather(*(refresh(admin_door, tokens["refresh_token"]) for _ in range(4)))
    assert sorted(answer.status for answer in answers) == [200, 401, 401, 401]


async def test_a_blocked_person_gets_nothing_at_any_step(admin_door: Door) -> None:
    user_id, _ = await new_person(admin_door)
    tokens, waiting, late = await signed_in(admin_door, user_id), await begin(admin_door), await begin(admin_door)
    await approve(admin_door, waiting, user_id=user_id)
    async with admin_door.engine.begin() as connection:
        users = sign_ins.metadata.tables["users"]
        await connection.execute(update(users).where(users.c.user_id == user_id).values(blocked=True))
    await admin_door.principals.announce(f"user:{user_id}")
    assert (await approve(admin_door, late, user_id=user_id)).status == 403
    assert refused(await poll(admin_door, waiting)) == (400, "access_denied")
    assert refused(await refresh(admin_door, tokens["refresh_token"])) == (401, "invalid_grant")


async def test_who_leaves_the_team_or_whose_key_is_blocked_must_sign_in_again(admin_door: Door) -> None:
    user_id, [team_id] = await new_person(admin_door)
    tokens = await signed_in(admin_door, user_id)
    await admin_door.post("/team/member_delete", {"team_id": team_id, "user_id": user_id})
    assert refused(await refresh(admin_door, tokens["refresh_token"])) == (401, "invalid_grant")

    other, _ = await new_person(admin_door)
    tokens = await signed_in(admin_door, other)
    await admin_door.post("/key/block", {"key": tokens["access_token"]})
    assert refused(await refresh(admin_door, tokens["refresh_token"])) == (401, "invalid_grant")


async def test_the_team_is_chosen_where_there_are_several_and_a_viewer_without_one_gets_no_key(
    admin_door: Door,
) -> None:
    user_id, teams = await new_person(admin_door, teams=2)
    begun = await begin(admin_door)
    unsaid = await approve(admin_door, begun, user_id=user_id)
    assert (unsaid.status, unsaid.error["param"]) == (422, "team_id")
    assert all(team_id in unsaid.error["message"] for team_id in teams)
    assert (await approve(admin_door, begun, user_id=user_id, team_id=None)).status == 403
    foreign = (await new_person(admin_door))[1][0]
    assert (await approve(admin_door, begun, user_id=user_id, team_id=foreign)).status == 404
    assert (await approve(admin_door, begun, user_id=user_id, team_id=teams[1])).status == 200
    assert (await key_of(admin_door, (await poll(admin_door, begun)).fields["access_token"]))["team_id"] == teams[1]


async def test_nobody_but_an_admin_signs_a_program_in_as_another_person(admin_door: Door) -> None:
    ada, [team_id] = await new_person(admin_door)
    bob, _ = await new_person(admin_door)
    begun = await begin(admin_door)
    for headers in (
        {"authorization": f"Bearer {(await admin_door.new_key(user_id=bob))['key']}"},
        {"authorization": f"Bearer {(await admin_door.new_key(team_id=team_id))['key']}"},
    ):
        body = {"user_code": begun["user_code"], "user_id": ada}
        assert (await admin_door.post("/device/approve", body, headers)).status == 404
    nobody = await admin_door.post("/device/approve", {"user_code": begun["user_code"]}, headers)
    assert nobody.status == 403
    unnamed = await admin_door.post("/device/approve", {"user_code": begun["user_code"]}, ADMIN)
    assert (unnamed.status, unnamed.error["param"]) == (422, "user_id")


async def test_a_denied_and_an_expired_code_bring_nothing(admin_door: Door) -> None:
    user_id, _ = await new_person(admin_door)
    denied, expired = await begin(admin_door), await begin(admin_door)
    assert (await admin_door.post("/device/deny", {"user_code": denied["user_code"]})).status == 200
    assert refused(await poll(admin_door, denied)) == (400, "access_denied")
    assert (await approve(admin_door, denied, user_id=user_id)).status == 404
    code = parse_user_code(expired["user_code"])
    await age(admin_door, device_authorizations, "expires_at", {"user_code": code}, timedelta(minutes=10))
    assert refused(await poll(admin_door, expired)) == (400, "expired_token")
    assert (await approve(admin_door, expired, user_id=user_id)).status == 404


async def test_either_token_ends_the_sign_in_and_no_other_key(admin_door: Door) -> None:
    user_id, _ = await new_person(admin_door)
    other = (await admin_door.new_key(user_id=user_id))["key"]
    for name in ("refresh_token", "access_token"):
        tokens = await signed_in(admin_door, user_id)
        for token in (tokens[name], other):
            assert (await form(admin_door, "/oauth/revoke", token=token, token_type_hint=name)).status == 200
        assert refused(await refresh(admin_door, tokens["refresh_token"])) == (401, "invalid_grant")
        assert [one async for one in _served(admin_door, tokens)] == [False]
    assert (await admin_door.get("/key/self", {"authorization": f"Bearer {other}"})).status == 200


@pytest.mark.parametrize(
    ("fields", "status", "word"),
    [
        ({}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": DEVICE}, 400, "invalid_grant"),
        ({"grant_type": DEVICE, "device_code": "kh-device-" + "a" * 43}, 400, "invalid_grant"),
        ({"grant_type": "refresh_token", "refresh_token": "kh-refresh-" + "\0" * 43}, 401, "invalid_grant"),
    ],
)
async def test_a_request_that_makes_no_sense_is_told_so_in_oauths_words(
    admin_door: Door, fields: dict[str, str], status: int, word: str
) -> None:
    assert refused(await form(admin_door, "/oauth/token", **fields)) == (status, word)
    assert refused(await admin_door.post("/oauth/token", b"\xff=\xff&" + b"a=b&" * 60, PROGRAM))[0] == 400


async def test_what_nobody_renews_lapses_and_its_key_goes_with_it(admin_door: Door) -> None:
    user_id, _ = await new_person(admin_door)
    tokens = await signed_in(admin_door, user_id)
    await age(admin_door, sign_ins, "expires_at", {"user_id": user_id}, timedelta(days=31))
    assert await desk_of(admin_door).sign_in.clean() == 1
    assert (await admin_door.get("/key/list", user_id=user_id)).fields["total_count"] == 0
    assert refused(await refresh(admin_door, tokens["refresh_token"])) == (401, "invalid_grant")
    await age(admin_door, sign_ins, "ended_at", {"user_id": user_id}, timedelta(days=31))
    assert await desk_of(admin_door).sign_in.clean() == 0


def desk_of(door: Door, *, is_open: bool = True) -> SignInDesk:
    keys = Keys(door.engine, door.principals, door.principals.pepper)
    return SignInDesk(door.engine, DeviceSignIn(door.engine, door.principals, keys), is_open=is_open)


async def test_an_address_that_tries_codes_or_begins_again_and_again_must_wait(admin_door: Door) -> None:
    desk, of_another_process = desk_of(admin_door), desk_of(admin_door)
    begun = await desk.sign_in.begin("a program", "198.51.100.9")
    for _ in range(20):
        await desk.find_waiting(begun.user_code, "198.51.100.1")
    for process in (desk, of_another_process) * 5:
        with pytest.raises(NotFound):
            await process.find_waiting(mint_user_code(), "198.51.100.1")
    for process in (desk, of_another_process):
        with pytest.raises(RateLimited, match="wrong codes"):
            await process.find_waiting(mint_user_code(), "198.51.100.1")
    with pytest.raises(RateLimited, match="sign-ins begun"):  # noqa: PT012  likewise
        for _ in range(32):
            await desk.sign_in.begin("a program", "198.51.100.2")


async def test_where_it_is_off_there_is_nothing(admin_door: Door) -> None:
    with pytest.raises(NotFound, match="KEYHOUSE_CLAUDE_CODE_SIGN_IN"):
        assert desk_of(admin_door, is_open=False).sign_in


def test_a_code_can_be_typed_as_people_type() -> None:
    code = mint_user_code()
    for typed in (code, code.lower(), show_user_code(code), f" {code[:4]} – {code[4:]} "):
        assert parse_user_code(typed) == code
    for wrong in ("", code[:-1], f"{code}B", "AEIO-UAEI", "ＢＣＤＦＧＨＪＫ", "BCDF-GHJ\0"):
        assert parse_user_code(wrong) is None


@pytest.mark.parametrize(
    "bound", [{"models": ["file-claude"]}, {"max_budget": 1}, {"rpm_limit": 3}, {"duration": "1h"}]
)
async def test_a_key_with_bounds_of_its_own_approves_nothing_as_the_new_key_would_have_none(
    admin_door: Door, bound: dict[str, object]
) -> None:
    user_id, _ = await new_person(admin_door)
    own = (await admin_door.new_key(user_id=user_id, **bound))["key"]
    begun = await begin(admin_door)
    answer = await admin_door.post(
        "/device/approve", {"user_code": begun["user_code"]}, {"authorization": f"Bearer {own}"}
    )
    assert answer.status == 403, answer.text
    assert "/ui/device" in answer.error["message"]
    assert refused(await poll(admin_door, begun)) == (400, "authorization_pending")


async def test_one_network_begins_no_more_than_thirty_sign_ins_a_minute_even_all_at_once(admin_door: Door) -> None:
    programs = desk_of(admin_door).programs
    network = f"2001:db8:{int(new_id('n')[-3:], 36):x}:9"

    async def is_begun(number: int) -> bool:
        try:
            await programs.begin("a program", f"{network}::{number:x}")
        except RateLimited:
            return False
        return True

    assert sum(await asyncio.gather(*map(is_begun, range(40)))) == 30
    assert await programs.begin("a program", "2001:db8:ffff:9::1")
