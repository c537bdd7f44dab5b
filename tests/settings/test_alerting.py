"""What a LiteLLM file and the environment say of alerts."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from app.notify.addresses import MailAddress, SlackAddress, WebhookAddress
from app.settings import Settings
from app.settings.alerting import alert_addresses, alert_channels, alert_kinds, smtp_of
from app.settings.errors import SettingsError
from app.settings.loading import load_settings

SLACK = "https://hooks.slack.com/services/T/B/x"


def load(tmp_path: Path, text: str, environ: Mapping[str, str] | None = None) -> Settings:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return load_settings(environ or {}, {"config_path": path})


def test_litellms_way_to_switch_slack_on_works(tmp_path: Path) -> None:
    text = f"""
general_settings:
  alerting: ["slack"]
  alert_types: ["budget_alerts", "llm_too_slow"]
  alerting_threshold: 300
environment_variables:
  SLACK_WEBHOOK_URL: {SLACK}
"""
    settings = load(tmp_path, text)

    found = alert_addresses(settings)["config:slack"]
    assert isinstance(found, SlackAddress)
    assert (found.url.reveal(), found.guarded) == (SLACK, False)
    assert alert_channels(settings) == {"config:slack": "slack"}
    assert alert_kinds(settings) == {
        "budget.threshold_reached", "budget.soft_limit_reached", "budget.forecast_exceeded", "llm_too_slow",
    }  # fmt: skip
    notices = "\n".join(settings.notices)
    assert 'alert_types: "llm_too_slow" is LiteLLM\'s and not told here' in notices
    assert "general_settings.alerting_threshold is LiteLLM's and not honoured yet" in notices


def test_mail_is_set_by_litellms_names(tmp_path: Path) -> None:
    environ = {
        "SMTP_HOST": "mail.example.com", "SMTP_PORT": "465", "SMTP_USERNAME": "kh", "SMTP_PASSWORD": "secret",
        "SMTP_SENDER_EMAIL": "kh@example.com", "SMTP_TLS": "True", "KEYHOUSE_ALERT_EMAILS": "a@x.org, b@x.org",
    }  # fmt: skip
    settings = load(tmp_path, "general_settings: {alerting: [email]}", environ)
    smtp = smtp_of(settings)

    assert alert_addresses(settings) == {"config:email": MailAddress(("a@x.org", "b@x.org"))}
    assert smtp is not None
    assert (smtp.host, smtp.port, smtp.sender, smtp.username, smtp.tls) == (
        "mail.example.com", 465, "kh@example.com", "kh", True,
    )  # fmt: skip
    assert settings.notices == ()


def test_a_webhook_is_signed_where_a_secret_is_set_and_else_that_is_said(tmp_path: Path) -> None:
    environ = {"WEBHOOK_URL": "https://hooks.example.com/", "KEYHOUSE_ALERTING": "webhook"}
    unsigned = load_settings(environ, {})
    signed = load_settings({**environ, "KEYHOUSE_ALERT_WEBHOOK_SECRET": "whsec_x"}, {})

    assert "not signed" in "\n".join(unsigned.notices)
    found = alert_addresses(signed)["config:webhook"]
    assert isinstance(found, WebhookAddress)
    assert found.secret is not None
    assert signed.notices == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{alerting: [slack]}", "SLACK_WEBHOOK_URL is not set"),
        ("{alerting: [email]}", "KEYHOUSE_ALERT_EMAILS is not set"),
        ("{alerting: [pagerduty]}", '"pagerduty" is no channel here'),
    ],
)
def test_what_would_be_told_nowhere_is_said_at_the_start(tmp_path: Path, text: str, says: str) -> None:
    settings = load(tmp_path, f"general_settings: {text}")

    assert says in "\n".join(settings.notices)
    assert alert_addresses(settings) == {}


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"SLACK_WEBHOOK_URL": "hooks.slack.com"}, "slack_webhook_url: its value does not begin with https://"),
        ({"KEYHOUSE_ALERT_EMAILS": "ada"}, '"ada" is no mail address'),
        ({"SMTP_PORT": "99999"}, "SMTP_PORT"),
    ],
)
def test_an_address_that_cannot_be_is_an_error_and_is_not_shown(environ: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        load_settings(environ, {})
