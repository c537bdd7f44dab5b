"""What the settings say of single sign-on: the issuer, who may come in, and what groups give."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from app.domain.group_mapping import ORGANIZATION_ROLES, TEAM_ROLES, GroupRule, GroupRules
from app.domain.roles import USER_ROLES
from app.identity.rules import IssuerSettings, SingleSignOnRules
from app.identity.safe_addresses import is_safe_address
from app.settings.settings import Settings
from app.settings.yaml_reading import Problems

_LONGEST_NAME = 60


def check_single_sign_on(problems: Problems, values: Mapping[str, Any]) -> None:
    """What cannot be is an error; what lets in more than was probably meant is a notice."""
    _check_public_url(problems, values.get("public_url"))
    issuer = values.get("oidc_issuer")
    if issuer is None:
        _check_is_off(problems, values)
        return
    if not is_safe_address(issuer) or "?" in issuer:
        problems.errors.append(f'oidc_issuer: "{issuer}" does not begin with https://, or is no address of an issuer')
    if not values.get("oidc_client_id"):
        problems.errors.append("oidc_issuer is set, but oidc_client_id is not; the issuer gave you one")
    if len(values.get("oidc_name", "")) > _LONGEST_NAME:
        problems.errors.append(f"oidc_name is longer than {_LONGEST_NAME} characters, too long for a button")
    for name, roles, has_place in _MAPPINGS:
        _check_mapping(problems, name, values.get(name, ()), (roles, has_place))
    for domain in values.get("oidc_email_domains", ()):
        if "@" in domain or "." not in domain:
            problems.errors.append(f'oidc_email_domains: "{domain}" is no domain; write it as example.com')
    if values.get("oidc_auto_create") and not (values.get("oidc_email_domains") or values.get("oidc_allowed_groups")):
        problems.notice(
            "oidc_auto_create is true without oidc_email_domains or oidc_allowed_groups: "
            f"whoever can sign in at {issuer} gets an account"
        )


def _check_is_off(problems: Problems, values: Mapping[str, Any]) -> None:
    defaults = Settings()  # worker processes are told these too
    names = [name for name in values if name.startswith("oidc_") and values[name] != getattr(defaults, name)]
    if stray := sorted(names):
        problems.errors.append(f"{stray[0]} is set, but oidc_issuer is not: nobody could sign in by it")
    if values.get("password_sign_in") is False:
        problems.errors.append("password_sign_in is false, but oidc_issuer is not set: nobody could sign in")


def single_sign_on_of(settings: Settings) -> SingleSignOnRules | None:
    """None where it is not set up."""
    if settings.oidc_issuer is None or settings.oidc_client_id is None:
        return None
    groups = GroupRules(
        settings.oidc_default_role,
        [_read_rule(text, has_place=False) for text in settings.oidc_roles],
        [_read_rule(text, has_place=True, default=TEAM_ROLES[-1]) for text in settings.oidc_teams],
        [_read_rule(text, has_place=True, default=ORGANIZATION_ROLES[1]) for text in settings.oidc_organizations],
    )
    allowed_groups = tuple(unquote(group) for group in settings.oidc_allowed_groups)
    issuer = IssuerSettings(
        settings.oidc_issuer,
        settings.oidc_client_id,
        settings.oidc_client_secret,
        settings.oidc_name,
        settings.oidc_scopes,
        settings.oidc_groups_claim,
        settings.oidc_trust_email,
        wants_groups=bool(groups.roles or groups.teams or groups.organizations or allowed_groups),
    )
    domains = frozenset(domain.lower() for domain in settings.oidc_email_domains)
    return SingleSignOnRules(issuer, groups, domains, frozenset(allowed_groups), settings.oidc_auto_create)


_MAPPINGS: Sequence[tuple[str, Sequence[str], bool]] = (
    ("oidc_roles", USER_ROLES, False),
    ("oidc_teams", TEAM_ROLES, True),
    ("oidc_organizations", ORGANIZATION_ROLES, True),
)


def _check_mapping(problems: Problems, name: str, texts: Sequence[str], kind: tuple[Sequence[str], bool]) -> None:
    roles, has_place = kind
    wanted = "group=id or group=id:role" if has_place else "group=role"
    for text in texts:
        rule = _read_rule(text, has_place=has_place, default=roles[-1])
        if "," in text or not rule.group or (has_place and not rule.place):
            problems.errors.append(f'{name}: "{text}" is not {wanted}, with %2C for a comma in the name of a group')
        elif rule.role not in roles:
            problems.errors.append(f'{name}: "{text}" names the role "{rule.role}"; there are {", ".join(roles)}')


def _read_rule(text: str, *, has_place: bool, default: str = "") -> GroupRule:
    """``group=role``, or ``group=id:role``; the name of a group may hold an equals sign, an id a colon."""
    group, _, given = text.rpartition("=")
    group, given = unquote(group.strip()), given.strip()
    if not has_place:
        return GroupRule(group, given)
    place, colon, role = given.rpartition(":")
    if not colon or role not in {*TEAM_ROLES, *ORGANIZATION_ROLES}:
        return GroupRule(group, default, given)
    return GroupRule(group, role, place)


def _check_public_url(problems: Problems, url: str | None) -> None:
    if url is None:
        return
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.path.strip("/") or parts.query:
        problems.errors.append(
            f'public_url: "{url}" is no address such as https://keyhouse.example.com, without a path'
        )
