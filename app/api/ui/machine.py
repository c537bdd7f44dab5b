"""What pages tell of the process that shows them, and what they have it do; given by whoever builds the app."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from app.domain.routing import RoutingRules
from app.domain.tenancy import Level
from app.gateway.connection_check import ConnectionCheck
from app.gateway.playground import Playground
from app.storage.redis.counters import Counters

Trouble = Mapping[str, Any]
"""Of a deployment: ``deployment``, ``state``, ``reason``, ``failures_in_a_row``, ``again_in_s``."""


class ShownSetting(NamedTuple):
    """``value`` is empty where nothing is set, and never a secret; ``is_changed``: it is not what it is without."""

    name: str
    value: str
    is_changed: bool


class SettingGroup(NamedTuple):
    name: str
    settings: Sequence[ShownSetting]


@dataclass(frozen=True, slots=True)
class Machine:
    """``troubled`` are the deployments that are not well, as the router of this process sees them, ``platform`` what is
    set for all calls together, ``counters`` where calls are held against budgets. Without ``playground`` there is no
    page of it."""

    check: ConnectionCheck
    troubled: Callable[[], Sequence[Trouble]]
    counters: Counters
    routing: RoutingRules = field(default_factory=RoutingRules)
    playground: Playground | None = None
    platform: Level | None = None
    settings: Sequence[SettingGroup] = ()
    version: str = ""


def trouble_of(troubled: Sequence[Trouble], deployment_id: str) -> Trouble | None:
    """The worst of a deployment; of a wildcard's, of what it was filled in with."""
    own = [
        one
        for one in troubled
        if one["deployment"] == deployment_id or str(one["deployment"]).startswith(f"{deployment_id}/")
    ]
    return max(own, key=lambda one: (one["state"] == "ejected", one["failures_in_a_row"]), default=None)
