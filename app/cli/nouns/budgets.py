"""``keyhouse budgets``."""

from app.cli.nouns.common import LIMIT_NAMES, LIMITS, OWN_BUDGET, SOFT, TIMES
from app.cli.nouns.noun import Field, Line, Noun, Rows, Said, Sheet, Verb, read_texts
from app.cli.tables import Column

_BUDGET = Field("budget", "budget_id")
_TERMS = (*OWN_BUDGET, SOFT, *LIMITS)
BUDGETS = Noun(
    "budgets",
    "Make, list, change and delete shared budgets: terms that keys, teams, members and users name.",
    (
        Verb(
            "create",
            "Make a shared budget; prints its id.",
            "silver --max-budget 20 --budget-duration 30d --rpm 60",
            "/budget/new",
            Line("budget_id"),
            arguments=(_BUDGET,),
            options=_TERMS,
        ),
        Verb(
            "list",
            "Shared budgets and their terms.",
            "",
            "/budget/list",
            Rows(
                (
                    Column("id", "budget_id", gives=True),
                    Column("budget (USD)", "max_budget"),
                    Column("per", "budget_duration"),
                    Column("soft (USD)", "soft_budget", lesser=True),
                    Column("rpm", "rpm_limit"),
                    Column("tpm", "tpm_limit"),
                    Column("at once", "max_parallel_requests", lesser=True),
                ),
                "budgets",
            ),
            "GET",
        ),
        Verb(
            "show",
            "One shared budget.",
            "silver",
            "/budget/info",
            Sheet(
                ("budget_id", "max_budget", "soft_budget", "budget_duration", "budget_reset_at", *LIMIT_NAMES, *TIMES),
                at="0",
            ),
            arguments=(Field("budget", "budgets", read=read_texts),),
        ),
        Verb(
            "update",
            'Change what is given, for all who name it; "none" clears it.',
            "silver --max-budget 30",
            "/budget/update",
            Said("{budget}: changed"),
            arguments=(_BUDGET,),
            options=_TERMS,
        ),
        Verb(
            "delete",
            "Delete a shared budget that nobody names.",
            "silver",
            "/budget/delete",
            Said("{budget}: deleted"),
            arguments=(Field("budget", "id"),),
        ),
    ),
)
