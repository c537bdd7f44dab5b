"""``keyhouse projects``."""

from app.cli.nouns.common import (
    BUDGET,
    COST_CENTER,
    LIMIT_NAMES,
    LIMITS,
    METADATA,
    MODELS,
    MONEY,
    SOFT,
    STANDING,
    TIMES,
    WINDOW,
)
from app.cli.nouns.noun import Field, Line, Noun, Rows, Said, Sheet, Verb, read_texts
from app.cli.tables import Column

_PROJECT = Field("project", "project_id")
_TERMS = (Field("description", "description", "What it is for."), MODELS, *BUDGET, SOFT, *LIMITS, COST_CENTER, METADATA)
PROJECTS = Noun(
    "projects",
    "Make, list, change and delete projects: parts of a team's work, with budgets of their own.",
    (
        Verb(
            "create",
            "Make a project of a team; prints its id.",
            "apollo --team team_01k... --max-budget 200 --budget-duration month",
            "/project/new",
            Line("project_id"),
            arguments=(Field("alias", "project_alias"),),
            options=(
                Field("team", "team_id", "The id of its team."),
                Field("id", "project_id", "An id of your own, such as the name that tags gave it so far."),
                *_TERMS,
            ),
        ),
        Verb(
            "list",
            "Projects by id, name, team and spend.",
            "--team team_01k...",
            "/project/list",
            Rows(
                (
                    Column("id", "project_id"),
                    Column("alias", "project_alias", gives=True),
                    Column("team", "team_id", gives=True, lesser=True),
                    *MONEY,
                    WINDOW,
                    Column("blocked", "blocked", lesser=True),
                ),
                "projects",
            ),
            "GET",
            options=(Field("team", "team_id", "Only projects of this team."),),
        ),
        Verb(
            "show",
            "One project, and what was spent in it.",
            "proj_01k...",
            "/project/info",
            Sheet(
                (
                    "project_id",
                    "project_alias",
                    "description",
                    "team_id",
                    "models",
                    *STANDING,
                    *LIMIT_NAMES,
                    "blocked",
                    "cost_center",
                    "metadata",
                    *TIMES,
                )
            ),
            "GET",
            arguments=(_PROJECT,),
        ),
        Verb(
            "update",
            'Change what is given; "none" clears it.',
            "proj_01k... --max-budget 300",
            "/project/update",
            Said("{project}: changed"),
            arguments=(_PROJECT,),
            options=(
                Field("alias", "project_alias", "A name for people."),
                Field("team", "team_id", "Another team; only while it has no keys."),
                *_TERMS,
            ),
        ),
        Verb(
            "block",
            "Refuse all keys of a project at once.",
            "proj_01k...",
            "/project/update",
            Said("{project}: blocked"),
            arguments=(_PROJECT,),
            sends={"blocked": True},
        ),
        Verb(
            "unblock",
            "Accept the keys of a blocked project again.",
            "proj_01k...",
            "/project/update",
            Said("{project}: accepted again"),
            arguments=(_PROJECT,),
            sends={"blocked": False},
        ),
        Verb(
            "delete",
            "Delete a project that has no keys any more; its receipts stay.",
            "proj_01k...",
            "/project/delete",
            Said("{project}: deleted"),
            arguments=(Field("project", "project_ids", read=read_texts),),
            warns="Delete the project {project}?",
        ),
    ),
)
