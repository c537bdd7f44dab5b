"""What roles are called on pages; routes and docs/roles.md have their own names."""

import re
from collections.abc import Mapping

from app.domain.roles import DEFAULT_ROLE, Role

ROLE_NAMES: Mapping[str, str] = {
    "proxy_admin": "Admin",
    "proxy_admin_viewer": "Finance",
    "auditor": "Auditor",
    "org_admin": "Organization admin",
    "team_admin": "Team admin",
    "internal_user": "Member",
    "internal_user_viewer": "Reader",
}
ROLE_WORDS: Mapping[Role, str] = {
    "proxy_admin": "Admin: everything",
    "proxy_admin_viewer": "Finance: reads everything",
    "auditor": "Auditor: reads the audit and the settings",
    "org_admin": "Organization admin: its teams, members and keys",
    "internal_user": "Member: own keys, makes them",
    "internal_user_viewer": "Reader: own keys, made by others",
}
_MEMBERS: Mapping[str, str] = {"admin": "Admin", "user": "Member", "org_admin": "Admin"}
"""Within one team or organization, where it is plain of what."""
_ROLES = re.compile(rf"\b({'|'.join(sorted(ROLE_NAMES, key=len, reverse=True))})\b")


def role_name(role: str | None) -> str:
    """None is a user without one."""
    return ROLE_NAMES.get(role or DEFAULT_ROLE, role or "")


def member_role_name(role: str) -> str:
    return _MEMBERS.get(role) or role_name(role)


def with_role_names(message: str) -> str:
    return _ROLES.sub(lambda found: ROLE_NAMES[found[1]], message)
