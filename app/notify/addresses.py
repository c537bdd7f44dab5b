"""Where a message can go, what carries mail, with what is secret about it; and how a place is kept as one text."""

from dataclasses import dataclass

import msgspec

from app.base.secret import Secret


@dataclass(frozen=True, slots=True)
class WebhookAddress:
    """``secret`` signs each message; None leaves it unsigned. ``guarded``: set at run time, so public hosts only."""

    url: Secret
    secret: Secret | None
    guarded: bool = False


@dataclass(frozen=True, slots=True)
class SlackAddress:
    """An incoming webhook of Slack, or of what speaks like it."""

    url: Secret
    guarded: bool = False


@dataclass(frozen=True, slots=True)
class MailAddress:
    recipients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Smtp:
    """``tls`` begins with STARTTLS, or at once on port 465; without it the password is not sent encrypted."""

    host: str
    port: int
    sender: str
    username: str | None = None
    password: Secret | None = None
    tls: bool = True


Address = WebhookAddress | SlackAddress | MailAddress


class _Kept(msgspec.Struct, omit_defaults=True):
    url: str = ""
    secret: str = ""
    recipients: tuple[str, ...] = ()


def to_text(address: Address) -> Secret:
    """For keeping it; the whole text is secret."""
    if isinstance(address, MailAddress):
        kept = _Kept(recipients=address.recipients)
    elif isinstance(address, SlackAddress) or address.secret is None:
        kept = _Kept(address.url.reveal())
    else:
        kept = _Kept(address.url.reveal(), address.secret.reveal())
    return Secret(msgspec.json.encode(kept).decode())


def from_text(kind: str, text: Secret) -> Address:
    """Of a destination that was set at run time."""
    kept = msgspec.json.decode(text.reveal(), type=_Kept)
    if kind == "webhook":
        return WebhookAddress(Secret(kept.url), Secret(kept.secret) if kept.secret else None, guarded=True)
    if kind == "slack":
        return SlackAddress(Secret(kept.url), guarded=True)
    return MailAddress(kept.recipients)
