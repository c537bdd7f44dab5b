"""What the settings say of alerts: the channels, what goes there, and what of LiteLLM's words has no meaning here."""

from collections.abc import Collection, Mapping
from typing import Any

from app.domain.alerts import ALERT_KINDS, DESTINATION_KINDS, DestinationKind
from app.notify.addresses import Address, MailAddress, SlackAddress, Smtp, WebhookAddress
from app.settings.settings import Settings
from app.settings.yaml_reading import Problems

_BUDGETS = ("budget.threshold_reached", "budget.soft_limit_reached", "budget.forecast_exceeded")
# LiteLLM's alert types that mean some of ours (docs.litellm.ai/docs/proxy/alerting).
_LITELLM_TYPES: Mapping[str, tuple[str, ...]] = {
    "budget_alerts": _BUDGETS,
    "user_spend_thresholds": _BUDGETS,
    "user_spend_anomalies": ("spend.velocity",),
    "llm_exceptions": ("provider.billing_refused",),
    "outage_alerts": ("provider.billing_refused", "deployment.ejected"),
    "cooldown_deployment": ("deployment.ejected",),
}
_NEEDS = {
    "slack": ("slack_webhook_url", "SLACK_WEBHOOK_URL"),
    "webhook": ("alert_webhook_url", "WEBHOOK_URL"),
    "email": ("alert_emails", "KEYHOUSE_ALERT_EMAILS"),
}


def check_alerting(problems: Problems, values: Mapping[str, Any]) -> None:
    """An address that cannot be is an error; what would be told nowhere is a notice."""
    for name in ("slack_webhook_url", "alert_webhook_url"):
        url = values.get(name)
        if url is not None and not url.reveal().startswith(("https://", "http://")):
            problems.errors.append(f"{name}: its value does not begin with https://")
    for address in values.get("alert_emails", ()):
        if "@" not in address:
            problems.errors.append(f'alert_emails: "{address}" is no mail address')
    for channel in values.get("alerting", ()):
        if (notice := _notice_of(channel, values)) is not None:
            problems.notice(notice)
    for name in values.get("alert_types", ()):
        if name not in _LITELLM_TYPES and name not in ALERT_KINDS:
            problems.notice(f'alert_types: "{name}" is LiteLLM\'s and not told here: it has no effect')


def _notice_of(channel: str, values: Mapping[str, Any]) -> str | None:
    if channel not in _NEEDS:
        return f'alerting: "{channel}" is no channel here, and has no effect; there are {_names(_NEEDS)}'
    name, variable = _NEEDS[channel]
    if not values.get(name):
        return f'alerting names "{channel}", but {variable} is not set: nothing is sent there'
    if channel == "email" and not (values.get("smtp_host") and values.get("smtp_sender")):
        return 'alerting names "email", but SMTP_HOST or SMTP_SENDER_EMAIL is not set: no mail is sent'
    if channel == "webhook" and values.get("alert_webhook_secret") is None:
        return "alerts to WEBHOOK_URL are not signed: KEYHOUSE_ALERT_WEBHOOK_SECRET is not set"
    return None


def alert_addresses(settings: Settings) -> dict[str, Address]:
    """Of the channels that are switched on, by the ids of their destinations. They are the operator's own: trusted."""
    found: dict[str, Address] = {}
    if "slack" in settings.alerting and settings.slack_webhook_url is not None:
        found["config:slack"] = SlackAddress(settings.slack_webhook_url)
    if "webhook" in settings.alerting and settings.alert_webhook_url is not None:
        found["config:webhook"] = WebhookAddress(settings.alert_webhook_url, settings.alert_webhook_secret)
    if "email" in settings.alerting and settings.alert_emails:
        found["config:email"] = MailAddress(settings.alert_emails)
    return found


def alert_channels(settings: Settings) -> dict[str, DestinationKind]:
    """The kinds of the same."""
    kinds = {f"config:{kind}": kind for kind in DESTINATION_KINDS}
    return {destination_id: kinds[destination_id] for destination_id in alert_addresses(settings)}


def alert_kinds(settings: Settings) -> frozenset[str]:
    """What the channels of the configuration are told of; empty is everything.

    A name that means nothing here stays: where only such are listed, nothing is told.
    """
    kinds: set[str] = set()
    for name in settings.alert_types:
        kinds.update(_LITELLM_TYPES.get(name, (name,)))
    return frozenset(kinds)


def smtp_of(settings: Settings) -> Smtp | None:
    if settings.smtp_host is None or settings.smtp_sender is None:
        return None
    return Smtp(
        settings.smtp_host,
        settings.smtp_port,
        settings.smtp_sender,
        settings.smtp_username,
        settings.smtp_password,
        tls=settings.smtp_tls,
    )


def _names(names: Collection[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
