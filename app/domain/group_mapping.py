"""What the groups of a person come to: a role, teams and organizations; and how that meets what admins have set."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from app.domain.roles import USER_ROLES, Role

TEAM_ROLES = ("admin", "user")
ORGANIZATION_ROLES = ("org_admin", "internal_user", "internal_user_viewer")


@dataclass(frozen=True, slots=True)
class GroupRule:
    """Whoever is in ``group`` has ``role``; of a team or an organization where ``place`` names one."""

    group: str
    role: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class GroupRules:
    """``default_role`` is what somebody begins with; each list is of the settings."""

    default_role: Role = "internal_user_viewer"
    roles: Sequence[GroupRule] = ()
    teams: Sequence[GroupRule] = ()
    organizations: Sequence[GroupRule] = ()


@dataclass(frozen=True, slots=True)
class Mapped:
    """What the groups give: the widest role of those that fit, None for none; roles by team and by organization."""

    role: str | None = None
    teams: dict[str, str] = field(default_factory=dict)
    organizations: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Given:
    """What groups gave, and what was there before; None was nothing."""

    given: str
    before: str | None


def map_groups(rules: GroupRules, groups: Collection[str]) -> Mapped:
    held = set(groups)
    role: str | None = None
    for rule in rules.roles:
        if rule.group in held:
            role = wider(role, rule.role, USER_ROLES)
    return Mapped(
        role,
        _by_place(rules.teams, held, TEAM_ROLES),
        _by_place(rules.organizations, held, ORGANIZATION_ROLES),
    )


def wider(one: str | None, other: str, order: Sequence[str]) -> str:
    """Of two roles that which stands first in ``order``; a role that is not in it is the narrowest."""
    return other if one is None or _place(other, order) < _place(one, order) else one


def settle(
    present: str | None, wanted: str | None, earlier: Given | None, order: Sequence[str]
) -> tuple[str | None, Given | None]:
    """What stands after a sign-in, and what of it the groups gave.

    What they gave before is taken back, and what stands without it is an admin's: it stays, and groups only add to
    it. What was changed since they gave it is an admin's too.
    """
    base = earlier.before if earlier is not None and earlier.given == present else present
    if wanted is None or wider(base, wanted, order) == base:
        return base, None
    return wanted, Given(wanted, base)


def _by_place(rules: Sequence[GroupRule], held: set[str], order: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for rule in rules:
        if rule.group in held:
            found[rule.place] = wider(found.get(rule.place), rule.role, order)
    return found


def _place(role: str, order: Sequence[str]) -> int:
    return order.index(role) if role in order else len(order)
