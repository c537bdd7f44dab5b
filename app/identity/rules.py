"""The rules of single sign-on as the operator has set them: whom to ask, who may come in, what groups give."""

from dataclasses import dataclass, field

from app.domain.group_mapping import GroupRules
from app.identity.issuer import IssuerSettings


@dataclass(frozen=True, slots=True)
class SingleSignOnRules:
    """``email_domains`` and ``allowed_groups`` say who may come in, none is everybody; ``auto_create``: also those who
    were not known here."""

    issuer: IssuerSettings
    groups: GroupRules = field(default_factory=GroupRules)
    email_domains: frozenset[str] = frozenset()
    allowed_groups: frozenset[str] = frozenset()
    auto_create: bool = False
