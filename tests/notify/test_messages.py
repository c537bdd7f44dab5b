"""What a webhook, a text for Slack and a mail say."""

import base64
import hashlib
import hmac
from dataclasses import replace
from datetime import UTC, datetime

import msgspec

from app.base.secret import Secret
from app.domain.alerts import AlertEvent
from app.notify.messages import new_webhook_secret, render_mail, render_slack, render_webhook, signature

AT = datetime(2026, 11, 21, 10, tzinfo=UTC)
EVENT = AlertEvent(
    event_id="evt_1",
    kind="budget.threshold_reached",
    title='Team "R&D <eu>" has spent 90 % of its budget',
    text="90.00 of 100.00 USD are spent. It resets on 1 Dec 2026, 00:00 UTC.",
    facts={"limit_usd": "100.000000", "spent_usd": "90.000000", "resets_at": datetime(2026, 12, 1, tzinfo=UTC)},
    team_id="t1",
    organization_id=None,
    sent=True,
    created_at=AT,
)


def test_a_signature_is_that_of_the_published_example_of_standard_webhooks() -> None:
    """The example of the specification's reference libraries."""
    secret = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'

    signed = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)

    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_webhook_can_be_checked_by_who_knows_the_secret_and_its_id_is_that_of_the_event() -> None:
    secret = new_webhook_secret()
    headers, body = render_webhook(EVENT, secret, AT)
    named = {name.decode(): value.decode() for name, value in headers}
    key = base64.b64decode(secret.reveal().removeprefix("whsec_"))
    signed = f"{named['webhook-id']}.{named['webhook-timestamp']}.".encode() + body

    assert named["webhook-id"] == "evt_1"
    assert named["webhook-signature"] == "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    fields = msgspec.json.decode(body)
    assert (fields["type"], fields["timestamp"]) == ("budget.threshold_reached", "2026-11-21T10:00:00Z")
    assert fields["data"]["spent_usd"] == "90.000000"
    assert fields["data"]["team_id"] == "t1"


def test_a_secret_of_ones_own_signs_with_its_bytes() -> None:
    expected = hmac.digest(b"plain text", b"id.1.x", hashlib.sha256)

    assert signature(Secret("plain text"), "id", 1, b"x") == "v1," + base64.b64encode(expected).decode()


def test_what_slack_would_read_as_its_own_signs_is_escaped() -> None:
    _, body = render_slack(EVENT)

    assert msgspec.json.decode(body) == {
        "text": '*Team "R&amp;D &lt;eu&gt;" has spent 90 % of its budget*\n'
        "90.00 of 100.00 USD are spent. It resets on 1 Dec 2026, 00:00 UTC."
    }


def test_a_mail_has_the_event_as_its_id_and_no_header_is_smuggled_into_it() -> None:
    event = replace(EVENT, title=f"{EVENT.title}\r\nBcc: eve@example.com")
    mail = render_mail(event, "keyhouse@example.com", ("ada@example.com", "bo@example.com"))

    assert mail["Subject"] == f"{EVENT.title} Bcc: eve@example.com"
    assert mail["Bcc"] is None
    assert mail["To"] == "ada@example.com, bo@example.com"
    assert mail["Message-ID"] == "<evt_1@keyhouse.invalid>"
    assert mail.get_content() == f"{EVENT.text}\n\n--\nKeyhouse, budget.threshold_reached, evt_1\n"
