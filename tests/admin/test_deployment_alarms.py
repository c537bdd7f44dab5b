"""A deployment that is put aside is told of once an hour, and not when it only rests or comes back."""

from dataclasses import replace
from typing import Any

from app.admin.deployment_alarms import DeploymentAlarms
from app.base.ids import DeploymentId
from app.domain.alert_words import Ejection, deployment_ejected
from app.domain.alerts import Alert
from app.domain.health import BreakerRules, Health
from tests.gateway.examples import DEPLOYMENT


class NotingWatch:
    async def note_ejection(self, ejection: Ejection) -> list[Alert]:
        return [deployment_ejected(ejection)]


def ejected(reason: str) -> Health:
    health = Health()
    health.eject(1000, BreakerRules(), reason)
    return health


async def test_each_deployment_is_told_of_once_and_neither_rest_nor_return_is() -> None:
    watch: Any = NotingWatch()
    alarms = DeploymentAlarms(watch)
    other = replace(DEPLOYMENT, deployment_id=DeploymentId("dep_2"))
    alarms.note(DEPLOYMENT, ejected("server_error"))
    alarms.note(DEPLOYMENT, ejected("server_error"))
    alarms.note(other, ejected("credential_refused"))
    alarms.note(replace(DEPLOYMENT, deployment_id=DeploymentId("dep_3")), ejected("rate_limited"))
    alarms.note(DEPLOYMENT, Health())
    alarms.note_check(replace(DEPLOYMENT, deployment_id=DeploymentId("dep_4")), "timeout")
    titles = [alert.title for alert in await alarms.flush()]
    assert titles == [
        "A deployment of provider anthropic fails and is put aside (server error)",
        "A deployment of provider anthropic fails and is put aside (credential refused)",
        "A deployment of provider anthropic fails its health check (timeout)",
    ]
    alarms.note(DEPLOYMENT, ejected("server_error"))
    assert await alarms.flush() == []
