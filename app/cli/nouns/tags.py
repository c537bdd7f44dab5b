"""``keyhouse tags``."""

from app.cli.nouns.common import BUDGET, LIMIT_NAMES, LIMITS, MONEY, SOFT, STANDING, TIMES, WINDOW
from app.cli.nouns.noun import Field, Noun, Rows, Said, Sheet, Verb, read_texts
from app.cli.tables import Column

_TAG = Field("tag", "name")
_TERMS = (Field("description", "description", "What it stands for."), *BUDGET, SOFT, *LIMITS)
TAGS = Noun(
    "tags",
    "Set, list, change and delete budgets and limits of tags.",
    (
        Verb(
            "create",
            "Set something for a tag; calls may bear any tag without that.",
            "engineering --max-budget 500 --budget-duration 30d",
            "/tag/new",
            Said("{tag}: made"),
            arguments=(_TAG,),
            options=_TERMS,
        ),
        Verb(
            "list",
            "Tags for which something is set, and their spend.",
            "",
            "/tag/list",
            Rows(
                (Column("tag", "name", gives=True), Column("description", "description", gives=True), *MONEY, WINDOW),
                "tags",
            ),
            "GET",
        ),
        Verb(
            "show",
            "What is set for a tag, and what was spent under it.",
            "engineering",
            "/tag/info",
            Sheet(("name", "description", *STANDING, *LIMIT_NAMES, *TIMES), at="*"),
            arguments=(Field("tag", "names", read=read_texts),),
        ),
        Verb(
            "update",
            'Change what is given; "none" clears it.',
            "engineering --max-budget 750",
            "/tag/update",
            Said("{tag}: changed"),
            arguments=(_TAG,),
            options=_TERMS,
        ),
        Verb(
            "delete",
            "Set nothing for a tag any more; its receipts stay.",
            "engineering",
            "/tag/delete",
            Said("{tag}: deleted"),
            arguments=(_TAG,),
        ),
    ),
)
