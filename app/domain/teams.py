"""Teams: keys that share an allow-list and a place in the reports."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.base.ids import OrganizationId, TeamId


@dataclass(frozen=True, slots=True)
class Team:
    """``models`` empty means every model; a key of the team can only narrow it."""

    team_id: TeamId
    alias: str | None = None
    organization_id: OrganizationId | None = None
    models: tuple[str, ...] = ()
    blocked: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)
