"""Refusals of providers whose account is out of money: noted while calls run, and written down a moment later."""

import hashlib
from datetime import datetime
from urllib.parse import urlsplit

from app.admin.alert_watch import AlertWatch
from app.base.clock import now
from app.domain.alert_words import BillingRefusal
from app.domain.alerts import Alert
from app.domain.catalog import Deployment
from app.protocols.billing_refusals import billing_refusal

_MOST_REMEMBERED = 1_000


class BillingAlarms:
    """One of each account and day is passed on; what is lost with the process is said again by the next refusal."""

    def __init__(self, watch: AlertWatch) -> None:
        self._watch = watch
        self._waiting: dict[tuple[str, str], BillingRefusal] = {}
        self._known: set[tuple[str, str]] = set()

    def note(self, deployment: Deployment, status: int, body: bytes) -> None:
        """Of every refusal; most of them are about something else."""
        message = billing_refusal(status, body)
        if message is None:
            return
        at = now()
        account = account_of(deployment)
        name = (f"{deployment.provider} {account}", _day(at))
        if name in self._known or len(self._waiting) >= _MOST_REMEMBERED:
            return
        self._waiting[name] = BillingRefusal(
            deployment.provider, account, deployment.upstream_model, status, message, at
        )

    async def flush(self) -> list[Alert]:
        """Raises StorageUnavailable, and may then be repeated."""
        new: list[Alert] = []
        for name, refusal in list(self._waiting.items()):
            new += await self._watch.note_refusal(refusal)
            del self._waiting[name]
            self._known.add(name)
        if len(self._known) > _MOST_REMEMBERED:
            self._known.clear()
        return new


def account_of(deployment: Deployment) -> str:
    """The host, and a few digits that tell its credentials apart and say nothing about them."""
    host = urlsplit(deployment.api_base).hostname or deployment.api_base
    if deployment.api_key is None:
        return host
    return f"{host} #{hashlib.sha256(deployment.api_key.reveal().encode()).hexdigest()[:6]}"


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d}"
