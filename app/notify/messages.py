"""The messages themselves: a signed webhook (Standard Webhooks), a text for Slack, a mail."""

import base64
import binascii
import hashlib
import hmac
import os
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime

import msgspec

from app.base.secret import Secret
from app.domain.alerts import AlertEvent

Header = tuple[bytes, bytes]

_SECRET_PREFIX = "whsec_"  # noqa: S105  a prefix, no secret
_SECRET_BYTES = 32
_JSON: Header = (b"content-type", b"application/json")


def new_webhook_secret() -> Secret:
    return Secret(_SECRET_PREFIX + base64.b64encode(os.urandom(_SECRET_BYTES)).decode())


def signature(secret: Secret, event_id: str, timestamp: int, body: bytes) -> str:
    """``v1,`` and the HMAC-SHA-256, in base64, of ``<id>.<timestamp>.<body>``.

    The key is what stands in base64 after ``whsec_``; of another secret, its bytes
    (https://github.com/standard-webhooks/standard-webhooks, spec 1.0).
    """
    text = secret.reveal()
    key = text.encode()
    if text.startswith(_SECRET_PREFIX):
        try:
            key = base64.b64decode(text.removeprefix(_SECRET_PREFIX), validate=True)
        except binascii.Error:
            key = text.encode()
    signed = f"{event_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def render_webhook(event: AlertEvent, secret: Secret | None, at: datetime) -> tuple[list[Header], bytes]:
    """``webhook-id`` is the same at every attempt; timestamp and signature are of this one."""
    facts = {"title": event.title, "text": event.text, **event.facts}
    owners = {"team_id": event.team_id, "organization_id": event.organization_id}
    body = msgspec.json.encode(
        {"type": event.kind, "timestamp": event.created_at, "data": owners | facts | {"event_id": event.event_id}}
    )
    timestamp = int(at.timestamp())
    headers = [_JSON, (b"webhook-id", event.event_id.encode()), (b"webhook-timestamp", str(timestamp).encode())]
    if secret is not None:
        headers.append((b"webhook-signature", signature(secret, event.event_id, timestamp, body).encode()))
    return headers, body


def render_slack(event: AlertEvent) -> tuple[list[Header], bytes]:
    """https://docs.slack.dev/messaging/formatting-message-text: ``*bold*``; three characters must be escaped."""
    return [_JSON], msgspec.json.encode({"text": f"*{_escaped(event.title)}*\n{_escaped(event.text)}"})


def render_mail(event: AlertEvent, sender: str, recipients: tuple[str, ...]) -> EmailMessage:
    """The ``Message-ID`` is the event's, so that a mail which comes twice is known again."""
    mail = EmailMessage()
    mail["From"] = sender
    mail["To"] = ", ".join(recipients)
    mail["Subject"] = " ".join(event.title.split())
    mail["Date"] = format_datetime(event.created_at)
    mail["Message-ID"] = f"<{event.event_id}@keyhouse.invalid>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(f"{event.text}\n\n--\nKeyhouse, {event.kind}, {event.event_id}\n")
    return mail


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
