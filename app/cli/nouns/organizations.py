"""``keyhouse organizations``."""

from app.cli.nouns.common import (
    BUDGET,
    LIMIT_NAMES,
    LIMITS,
    MEMBER,
    METADATA,
    MODELS,
    MONEY,
    SOFT,
    STANDING,
    TEAM_COLUMNS,
    TIMES,
    WINDOW,
)
from app.cli.nouns.noun import Field, Line, Noun, Rows, Said, Sheet, Verb, read_texts
from app.cli.tables import Column

_ORGANIZATION = Field("organization", "organization_id")
_ORGANIZATION_TERMS = (MODELS, *BUDGET, SOFT, *LIMITS, METADATA)
_ORGANIZATION_ROLES = ("internal_user", "internal_user_viewer", "org_admin")
_ORGANIZATION_MEMBERS = Rows(
    (Column("user", "user_id", gives=True), Column("email", "user_email", gives=True), Column("role", "user_role")),
    "members",
    at="members",
)
ORGANIZATIONS = Noun(
    "organizations",
    "Make, list, change and delete organizations, and say who belongs to them.",
    (
        Verb(
            "create",
            "Make an organization; prints its id.",
            "physics --max-budget 5000 --budget-duration 30d",
            "/organization/new",
            Line("organization_id"),
            arguments=(Field("alias", "organization_alias"),),
            options=_ORGANIZATION_TERMS,
        ),
        Verb(
            "list",
            "Organizations by id, name and spend.",
            "--alias phys",
            "/organization/list",
            Rows(
                (
                    Column("id", "organization_id"),
                    Column("alias", "organization_alias", gives=True),
                    *MONEY,
                    WINDOW,
                    Column("blocked", "blocked", lesser=True),
                ),
                "organizations",
            ),
            "GET",
            options=(Field("alias", "org_alias", "Only with this in the name."),),
        ),
        Verb(
            "show",
            "One organization with its members and teams.",
            "org_01k...",
            "/organization/info",
            Sheet(
                (
                    "organization_id",
                    "organization_alias",
                    "models",
                    *STANDING,
                    *LIMIT_NAMES,
                    "blocked",
                    "metadata",
                    *TIMES,
                ),
                lists=(_ORGANIZATION_MEMBERS, Rows(TEAM_COLUMNS, "teams", at="teams")),
            ),
            "GET",
            arguments=(_ORGANIZATION,),
        ),
        Verb(
            "update",
            'Change what is given; "none" clears it.',
            "org_01k... --max-budget 6000",
            "/organization/update",
            Said("{organization}: changed"),
            arguments=(_ORGANIZATION,),
            options=(Field("alias", "organization_alias", "A name for people."), *_ORGANIZATION_TERMS),
        ),
        Verb(
            "block",
            "Refuse all keys of an organization at once.",
            "org_01k...",
            "/organization/update",
            Said("{organization}: blocked"),
            arguments=(_ORGANIZATION,),
            sends={"blocked": True},
        ),
        Verb(
            "unblock",
            "Accept the keys of a blocked organization again.",
            "org_01k...",
            "/organization/update",
            Said("{organization}: accepted again"),
            arguments=(_ORGANIZATION,),
            sends={"blocked": False},
        ),
        Verb(
            "delete",
            "Delete an organization with its teams, keys and memberships; receipts and users stay.",
            "org_01k...",
            "/organization/delete",
            Said("{organization}: deleted"),
            arguments=(Field("organization", "organization_ids", read=read_texts),),
            warns="Delete the organization {organization} with all its teams and keys?",
        ),
        Verb(
            "members",
            "Who belongs to an organization.",
            "org_01k...",
            "/organization/info",
            Sheet(("organization_id", "organization_alias"), lists=(_ORGANIZATION_MEMBERS,)),
            "GET",
            arguments=(_ORGANIZATION,),
        ),
        Verb(
            "add-member",
            "Take a user, by id or address, into an organization.",
            "org_01k... ada@example.com --role org_admin",
            "/organization/member_add",
            Said("{user}: is a member of {organization}"),
            arguments=(_ORGANIZATION, Field("user", "member.user_id", by_address=True)),
            options=(Field("role", "member.role", "In the organization.", choices=_ORGANIZATION_ROLES),),
            sends={"member": {"role": "internal_user"}},
        ),
        Verb(
            "update-member",
            "Change the role of a member.",
            "org_01k... ada@example.com --role org_admin",
            "/organization/member_update",
            Said("{user}: changed"),
            arguments=(_ORGANIZATION, MEMBER),
            options=(Field("role", "role", "In the organization.", choices=_ORGANIZATION_ROLES),),
        ),
        Verb(
            "remove-member",
            "Take a member out of an organization.",
            "org_01k... ada@example.com",
            "/organization/member_delete",
            Said("{user}: is no member of {organization}"),
            arguments=(_ORGANIZATION, MEMBER),
        ),
    ),
)
