"""The routes of alerts over real stores."""

from typing import Any

import pytest
from sqlalchemy import update

from app.admin.alert_delivery import AlertDelivery, Patience
from app.base.ids import new_id
from app.base.secret import Secret
from app.notify.addresses import WebhookAddress, to_text
from app.notify.sender import Sender
from app.providers.egress import Egress
from app.providers.upstream import HttpUpstream
from app.storage.postgres import tables
from app.storage.postgres.audit import list_entries
from app.storage.postgres.credentials import CredentialCipher
from app.storage.postgres.engine import transaction
from tests.api.support import ADMIN, PEPPER, Door
from tests.fakes.alert_sinks import WebSink, web_sink

pytestmark = pytest.mark.services

HOOK = {"name": "pager", "kind": "webhook", "url": "https://93.184.215.14/hook/secret-part?token=t"}


async def deliver(door: Door, egress: Egress, destination_id: str) -> dict[str, Any]:
    """Send what is due; the newest event's one delivery."""
    sender = Sender(HttpUpstream(egress=egress), None)
    delivery = AlertDelivery(door.engine, sender, {}, CredentialCipher(PEPPER), Patience(retry_after_s=()))
    await delivery.start_due()
    await delivery.close(timeout_s=10)
    events = (await door.get("/alert/events", kind="test", page_size=1)).fields["events"]
    found: list[dict[str, Any]] = events[0]["deliveries"]
    return next(one for one in found if one["destination_id"] == destination_id)


async def test_a_destination_is_made_listed_and_deleted_and_its_address_is_not_shown(admin_door: Door) -> None:
    made = (await admin_door.post("/alert/destination", {**HOOK, "events": ["key.expiring"]})).fields

    assert made["secret"].startswith("whsec_")
    assert made["address"] == "https://93.184.215.14/…"
    assert (made["events"], made["team_id"], made["source"]) == (["key.expiring"], None, "database")
    listed = await admin_door.get("/alert/destination")
    assert made["destination_id"] in listed.text
    assert "secret" not in listed.text
    gone = await admin_door.client.delete(f"/alert/destination/{made['destination_id']}", headers=dict(ADMIN))
    assert gone.status_code == 200
    assert made["destination_id"] not in (await admin_door.get("/alert/destination")).text
    async with transaction(admin_door.engine) as connection:
        entries = await list_entries(connection, "alert_destination", made["destination_id"])
    assert [entry.action for entry in entries] == ["alert_destination.new", "alert_destination.delete"]
    assert "secret-part" not in str(entries)


@pytest.mark.parametrize(
    ("change", "param", "says"),
    [
        ({"url": "https://127.0.0.1/hook"}, "url", "no public address"),
        ({"url": "http://169.254.169.254/latest"}, "url", "no public address"),
        ({"url": "https://hooks.example.com:99999/"}, "url", "has a port that is none; give 1 to 65535"),
        ({"url": "https://[::ffff:10.0.0.1]/"}, "url", "no public address"),
        ({"url": "https://metadata.google.internal/"}, "url", "private network"),
        ({"url": "https://ada:pw@hooks.example.com/"}, "url", "user name"),
        ({"url": "ftp://hooks.example.com/"}, "url", "must be an address"),
        ({"url": "https://hooks.example.com/a\r\nx: y"}, "url", "must be an address"),
        ({"url": None}, "url", "is missing"),
        ({"url": 5}, "url", "must be an address"),
        ({"kind": "pager"}, "kind", "give one of webhook, slack, email"),
        ({"kind": "email"}, "url", "means nothing"),
        ({"kind": "email", "url": None, "recipients": ["nobody"]}, "recipients", "give an address"),
        ({"kind": "email", "url": None, "recipients": []}, "recipients", "is empty"),
        ({"kind": "slack", "secret": "long enough to be one"}, "secret", "means nothing"),
        ({"secret": "short"}, "secret", "too short"),
        ({"events": ["budget"]}, "events", "there are budget.threshold_reached"),
        ({"team_id": "team_none"}, "team_id", "is no team"),
        ({"name": None}, "name", "is missing"),
        ({"webhook": "x"}, "webhook", "is not a field"),
    ],
)
async def test_what_cannot_be_a_destination_is_refused_by_name(
    admin_door: Door, change: dict[str, Any], param: str, says: str
) -> None:
    answer = await admin_door.post("/alert/destination", {**HOOK, **change})

    assert answer.status == 422, answer.text
    assert answer.error["param"] == param
    assert says in answer.error["message"]
    assert "secret-part" not in answer.text or param == "secret"


async def test_a_test_goes_the_way_of_all_alerts_and_tells_how_it_went(admin_door: Door) -> None:
    async with web_sink() as sink:
        made = await at_sink(admin_door, sink)
        answer = await admin_door.post("/alert/test", {"destination_id": made["destination_id"]})
        assert answer.fields["event_id"].startswith("evt_")
        delivery = await deliver(admin_door, Egress(("127.0.0.1",)), made["destination_id"])

    assert (delivery["state"], delivery["attempts"]) == ("delivered", 1)
    assert sink.received[0].headers["webhook-id"] == answer.fields["event_id"]
    assert sink.received[0].headers["webhook-signature"].startswith("v1,")


async def test_an_address_that_leads_inside_when_it_is_called_is_not_called_and_can_be_tried_again(
    admin_door: Door,
) -> None:
    async def inside(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    async with web_sink() as sink:
        made = await at_sink(admin_door, sink)
        event_id = (await admin_door.post("/alert/test", {"destination_id": made["destination_id"]})).fields["event_id"]
        dead = await deliver(admin_door, Egress((), inside), made["destination_id"])
        assert (dead["state"], sink.received) == ("dead", [])
        assert "no public address" in dead["last_error"]
        assert event_id in (await admin_door.get("/alert/events", state="dead")).text

        assert (await admin_door.post(f"/alert/events/{event_id}/retry")).status == 200
        again = await deliver(admin_door, Egress(("127.0.0.1",)), made["destination_id"])

    assert again["state"] == "delivered"
    assert (await admin_door.post(f"/alert/events/{event_id}/retry")).status == 422
    assert (await admin_door.post("/alert/events/evt_none/retry")).status == 404


async def at_sink(door: Door, sink: WebSink) -> dict[str, Any]:
    """A destination that was made while its name led elsewhere."""
    made: dict[str, Any] = (await door.post("/alert/destination", HOOK)).fields
    cipher = CredentialCipher(PEPPER)
    sealed = cipher.encrypt(made["destination_id"], to_text(WebhookAddress(Secret(sink.url), Secret(made["secret"]))))
    async with door.engine.begin() as connection:
        destination = tables.alert_destinations
        change = update(destination).where(destination.c.destination_id == made["destination_id"])
        await connection.execute(change.values(ciphertext=sealed[0], nonce=sealed[1]))
    return made


async def test_a_teams_admin_has_destinations_of_its_team_and_sees_no_others(admin_door: Door) -> None:
    ours, theirs = [(await admin_door.post("/team/new", {"team_alias": new_id("t")})).fields["team_id"] for _ in "ab"]
    user_id = new_id("user")
    member = {"user_id": user_id, "role": "admin"}
    assert (await admin_door.post("/team/member_add", {"team_id": ours, "member": member})).status == 200
    key = (await admin_door.new_key(user_id=user_id))["key"]
    headers = {"authorization": f"Bearer {key}"}
    others = (await admin_door.post("/alert/destination", {**HOOK, "team_id": theirs})).fields["destination_id"]
    everybodys = (await admin_door.post("/alert/destination", HOOK)).fields["destination_id"]

    made = await admin_door.post("/alert/destination", {**HOOK, "team_id": ours}, headers)
    assert made.status == 200, made.text
    own = made.fields["destination_id"]
    listed = (await admin_door.get("/alert/destination", headers, team_id=ours)).text
    assert own in listed
    assert others not in listed
    assert everybodys not in listed
    for destination, status in ((own, 200), (others, 404), (everybodys, 404), ("config:slack", 404)):
        body = {"destination_id": destination, "team_id": ours}
        assert (await admin_door.post("/alert/test", body, headers)).status == status
    seen = (await admin_door.get("/alert/events", headers, team_id=ours)).fields["events"]
    assert [[one["destination_id"] for one in event["deliveries"]] for event in seen] == [[own]]
    assert (await admin_door.get("/alert/events", headers, team_id=theirs)).status == 404
    assert (await admin_door.post("/alert/destination", HOOK, headers)).status == 422
    for destination, status in ((others, 404), (own, 200)):
        answer = await admin_door.client.delete(
            f"/alert/destination/{destination}", headers=headers, params={"team_id": ours}
        )
        assert answer.status_code == status
