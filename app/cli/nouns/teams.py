"""``keyhouse teams``."""

from app.cli.nouns.common import (
    BUDGET,
    COST_CENTER,
    KEY_COLUMNS,
    LIMIT_NAMES,
    LIMITS,
    MEMBER,
    METADATA,
    MODELS,
    SOFT,
    STANDING,
    TEAM_COLUMNS,
)
from app.cli.nouns.noun import Field, Line, Noun, Rows, Said, Sheet, Verb, read_dollars, read_texts
from app.cli.tables import Column

_TEAM = Field("team", "team_id")
_TEAM_TERMS = (
    Field("organization", "organization_id", "The id of its organization."),
    MODELS,
    *BUDGET,
    SOFT,
    Field("member-budget", "team_member_budget", "Dollars a window, for each member.", read_dollars),
    Field("member-budget-duration", "team_member_budget_duration", "The window of a member's budget."),
    *LIMITS,
    COST_CENTER,
    METADATA,
)
_MEMBER_COLUMNS = (
    Column("user", "user_id", gives=True),
    Column("email", "user_email", gives=True),
    Column("role", "role"),
    Column("spend (USD)", "spend"),
    Column("total (USD)", "total_spend", lesser=True),
    Column("budget from", "budget_source", lesser=True),
)
_MEMBER_TERMS = (
    Field("max-budget", "max_budget_in_team", "Dollars a window in this team.", read_dollars),
    Field("budget-duration", "budget_duration", "The window, such as 30d."),
    *LIMITS,
)
_TEAM_ROLES = ("user", "admin")
_TEAM_SHEET = (
    "team_id",
    "team_alias",
    "organization_id",
    "cost_center",
    "models",
    *STANDING,
    *LIMIT_NAMES,
    "blocked",
    "metadata",
)
TEAMS = Noun(
    "teams",
    "Make, list, change and delete teams, and say who belongs to them.",
    (
        Verb(
            "create",
            "Make a team; prints its id.",
            "research --max-budget 500 --budget-duration 30d",
            "/team/new",
            Line("team_id"),
            arguments=(Field("alias", "team_alias"),),
            options=_TEAM_TERMS,
        ),
        Verb(
            "list",
            "Teams by id, name and spend.",
            "--organization org_01k...",
            "/team/list",
            Rows(TEAM_COLUMNS, "teams"),
            "GET",
            options=(
                Field("organization", "organization_id", "Only teams of this organization."),
                Field("user", "user_id", "Only teams of this user."),
                Field("alias", "team_alias", "Only the team of this name."),
            ),
        ),
        Verb(
            "show",
            "One team with its members and keys.",
            "team_01k...",
            "/team/info",
            Sheet(
                (*_TEAM_SHEET, "created_at", "updated_at"),
                at="team_info",
                lists=(
                    Rows(_MEMBER_COLUMNS, "members", at="team_memberships"),
                    Rows(KEY_COLUMNS, "keys", at="keys"),
                ),
            ),
            "GET",
            arguments=(_TEAM,),
        ),
        Verb(
            "update",
            'Change what is given; "none" clears it.',
            "team_01k... --max-budget 800",
            "/team/update",
            Said("{team}: changed"),
            arguments=(_TEAM,),
            options=(Field("alias", "team_alias", "A name for people."), *_TEAM_TERMS),
        ),
        Verb(
            "block",
            "Refuse all keys of a team at once.",
            "team_01k...",
            "/team/block",
            Said("{team}: blocked"),
            arguments=(_TEAM,),
        ),
        Verb(
            "unblock",
            "Accept the keys of a blocked team again.",
            "team_01k...",
            "/team/unblock",
            Said("{team}: accepted again"),
            arguments=(_TEAM,),
        ),
        Verb(
            "delete",
            "Delete a team with its keys and memberships; receipts stay.",
            "team_01k...",
            "/team/delete",
            Said("{team}: deleted"),
            arguments=(Field("team", "team_ids", read=read_texts),),
            warns="Delete the team {team} with all its keys and memberships?",
        ),
        Verb(
            "members",
            "Who belongs to a team, and what each spent in it.",
            "team_01k...",
            "/team/info",
            Sheet(
                ("team_id", "team_alias"),
                at="team_info",
                lists=(Rows(_MEMBER_COLUMNS, "members", at="team_memberships"),),
            ),
            "GET",
            arguments=(_TEAM,),
        ),
        Verb(
            "add-member",
            "Take a user, by id or address, into a team; one that is not there yet is made.",
            "team_01k... ada@example.com --role admin --max-budget 80",
            "/team/member_add",
            Said("{user}: is a member of {team}"),
            arguments=(_TEAM, Field("user", "member.user_id", by_address=True)),
            options=(Field("role", "member.role", "In the team.", choices=_TEAM_ROLES), *_MEMBER_TERMS),
            sends={"member": {"role": "user"}},
        ),
        Verb(
            "update-member",
            'Change role, budget or limits of a member; "none" clears.',
            "team_01k... ada@example.com --max-budget 120",
            "/team/member_update",
            Said("{user}: changed"),
            arguments=(_TEAM, MEMBER),
            options=(Field("role", "role", "In the team.", choices=_TEAM_ROLES), *_MEMBER_TERMS),
        ),
        Verb(
            "remove-member",
            "Take a member out of a team, with the keys that it has there.",
            "team_01k... ada@example.com",
            "/team/member_delete",
            Said("{user}: is no member of {team}"),
            arguments=(_TEAM, MEMBER),
            warns="Take {user} out of the team, with its keys there?",
        ),
    ),
)
