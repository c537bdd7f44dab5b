"""Deployments that fail, and are put aside for it or not: noted while calls run, and written down a moment later."""

from app.admin.alert_watch import AlertWatch
from app.base.clock import now
from app.domain.alert_words import Ejection
from app.domain.alerts import Alert
from app.domain.catalog import Deployment
from app.domain.health import Health

_MOST_REMEMBERED = 1_000
_ITS_LIMIT = "rate_limited"


class DeploymentAlarms:
    """One of each deployment and hour is passed on; what is lost with the process is said again by the next one."""

    def __init__(self, watch: AlertWatch) -> None:
        self._watch = watch
        self._waiting: dict[str, Ejection] = {}
        self._known: set[str] = set()

    def note(self, deployment: Deployment, health: Health) -> None:
        """Of every change; that one comes back, or rests because its minute is full, is no alarm."""
        if health.ejected:
            self._note(deployment, health.reason, by_check=False)

    def note_check(self, deployment: Deployment, reason: str) -> None:
        """Of each that fails its health check, and did not before."""
        self._note(deployment, reason, by_check=True)

    def _note(self, deployment: Deployment, reason: str, *, by_check: bool) -> None:
        if reason == _ITS_LIMIT:
            return
        at = now()
        name = f"{deployment.deployment_id} {at:%Y-%m-%dT%H}"
        if name in self._known or len(self._waiting) >= _MOST_REMEMBERED:
            return
        self._waiting[name] = Ejection(
            deployment.deployment_id, deployment.provider, deployment.upstream_model, reason, at, by_check
        )

    async def flush(self) -> list[Alert]:
        """Raises StorageUnavailable, and may then be repeated."""
        new: list[Alert] = []
        for name, ejection in list(self._waiting.items()):
            new += await self._watch.note_ejection(ejection)
            del self._waiting[name]
            self._known.add(name)
        if len(self._known) > _MOST_REMEMBERED:
            self._known.clear()
        return new
