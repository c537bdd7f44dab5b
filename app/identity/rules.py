"""The rules of single sign-on as the operator has set them: whom to ask, who may come in, what groups give."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.base.secret import Secret
from app.domain.group_mapping import GroupRules


@dataclass(frozen=True, slots=True)
class IssuerSettings:
    """``name`` is how people know it. ``groups_claim`` is a claim, or a path through claims by dots.

    ``trusts_email``: an address counts as verified where the issuer does not say whether it is.
    """

    issuer: str
    client_id: str
    client_secret: Secret | None = None
    name: str = "single sign-on"
    scopes: Sequence[str] = ("openid", "profile", "email")
    groups_claim: str = "groups"
    trusts_email: bool = False
    wants_groups: bool = False


@dataclass(frozen=True, slots=True)
class SingleSignOnRules:
    """``email_domains`` and ``allowed_groups`` say who may come in, none is everybody; ``auto_create``: also those who
    were not known here."""

    issuer: IssuerSettings
    groups: GroupRules = field(default_factory=GroupRules)
    email_domains: frozenset[str] = frozenset()
    allowed_groups: frozenset[str] = frozenset()
    auto_create: bool = False
