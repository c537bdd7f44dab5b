"""Refusals about money are passed on once, also when the store was away at first."""

from dataclasses import replace
from typing import Any

import pytest

from app.admin.billing_alarms import BillingAlarms
from app.base.errors import StorageUnavailable
from app.base.secret import Secret
from app.domain.alert_words import BillingRefusal, billing_refused
from app.domain.alerts import Alert
from tests.gateway.examples import DEPLOYMENT

EMPTY = b'{"type":"error","error":{"type":"billing_error","message":"Your credit balance is too low"}}'
LIMITED = b'{"type":"error","error":{"type":"rate_limit_error","message":"Slow down"}}'


class NotingWatch:
    """Notes what it is told; the first ``failures`` times the store is away."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.noted: list[BillingRefusal] = []

    async def note_refusal(self, refusal: BillingRefusal) -> list[Alert]:
        if self.failures:
            self.failures -= 1
            raise StorageUnavailable("Postgres does not answer")
        self.noted.append(refusal)
        return [billing_refused(refusal)]


def alarms_of(watch: Any) -> BillingAlarms:
    return BillingAlarms(watch)


async def test_many_refusals_of_one_account_are_one_alarm_and_another_account_is_another() -> None:
    watch = NotingWatch()
    alarms = alarms_of(watch)
    other = replace(DEPLOYMENT, api_key=Secret("sk-another-account"))
    for deployment in (DEPLOYMENT, DEPLOYMENT, other, replace(DEPLOYMENT, upstream_model="claude-opus-4-5")):
        alarms.note(deployment, 402, EMPTY)
    alarms.note(DEPLOYMENT, 429, LIMITED)

    assert len(await alarms.flush()) == 2
    alarms.note(DEPLOYMENT, 402, EMPTY)
    assert await alarms.flush() == []
    assert "sk-another" not in repr(watch.noted)


async def test_what_could_not_be_written_down_is_written_down_later() -> None:
    watch = NotingWatch(failures=1)
    alarms = alarms_of(watch)
    alarms.note(DEPLOYMENT, 402, EMPTY)
    with pytest.raises(StorageUnavailable):
        await alarms.flush()
    assert watch.noted == []
    assert len(await alarms.flush()) == 1
