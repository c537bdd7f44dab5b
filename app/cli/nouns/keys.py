"""``keyhouse keys``."""

from dataclasses import replace

from app.cli.nouns.common import BUDGET, KEY_COLUMNS, LIMIT_NAMES, LIMITS, METADATA, MODELS, STANDING, TIMES
from app.cli.nouns.noun import Field, Line, Noun, Rows, Said, Sheet, Verb, read_texts

_KEY_TERMS = (
    Field("alias", "key_alias", "A name for people."),
    MODELS,
    Field("team", "team_id", "The id of its team."),
    Field("user", "user_id", "The id of its owner."),
    *BUDGET,
    *LIMITS,
    Field("duration", "duration", "How long it lives, such as 90d; for ever unless set."),
    Field("tags", "tags", "Comma separated; they stand on each of its receipts.", read_texts),
    Field("routes", "allowed_routes", "Comma separated paths or groups, such as llm_api_routes.", read_texts),
    METADATA,
)
_KEY = Field("key", "key")
_KEY_GONE = Verb(
    "delete",
    "Delete a key for good; its receipts stay.",
    "key_01k...",
    "/key/delete",
    Said("{key}: deleted"),
    arguments=(Field("key", "keys", read=read_texts),),
    warns="Delete the key {key} for good?",
)
KEYS = Noun(
    "keys",
    "Issue, list, change, block and delete virtual keys of the running gateway.",
    (
        Verb(
            "create",
            "Issue a key; it is shown this once.",
            "--alias laptop --max-budget 25 --budget-duration 30d",
            "/key/generate",
            Line("key"),
            options=_KEY_TERMS,
        ),
        Verb(
            "list",
            "Keys by id, name, spend and state.",
            "--team team_01k...",
            "/key/list",
            Rows(KEY_COLUMNS, "keys", at="keys"),
            "GET",
            options=(
                Field("team", "team_id", "Only keys of this team."),
                Field("user", "user_id", "Only keys of this owner."),
                Field("alias", "key_alias", "Only the key of this name."),
                Field("status", "status", "Only in this state.", choices=("active", "blocked", "expired", "deleted")),
            ),
            sends={"return_full_object": "true"},
        ),
        Verb(
            "show",
            "One key: what it may use and spend, and what it spent.",
            "key_01k...",
            "/key/info",
            Sheet(
                (
                    "key_name",
                    "key_alias",
                    "status",
                    "team_id",
                    "user_id",
                    "organization_id",
                    "models",
                    "aliases",
                    "allowed_routes",
                    *STANDING,
                    *LIMIT_NAMES,
                    "metadata",
                    "expires",
                    "last_active",
                    "rotation_count",
                    *TIMES,
                ),
                at="info",
            ),
            "GET",
            arguments=(_KEY,),
        ),
        Verb(
            "update",
            'Change what is given; "none" clears it.',
            "key_01k... --max-budget 50 --rpm none",
            "/key/update",
            Said("{key}: changed"),
            arguments=(_KEY,),
            options=_KEY_TERMS,
        ),
        Verb(
            "block",
            "Refuse a key at once, everywhere.",
            "key_01k...",
            "/key/block",
            Said("{key}: blocked"),
            arguments=(_KEY,),
        ),
        Verb(
            "unblock",
            "Accept a blocked key again.",
            "key_01k...",
            "/key/unblock",
            Said("{key}: accepted again"),
            arguments=(_KEY,),
        ),
        _KEY_GONE,
        replace(_KEY_GONE, name="revoke", does="The same as delete."),
        Verb(
            "regenerate",
            "Replace the secret of a key; the new one is shown this once.",
            "key_01k... --grace 24h",
            "/key/regenerate",
            Line("key"),
            arguments=(_KEY,),
            options=(Field("grace", "grace_period", "How long the old secret works; not at all unless set."),),
        ),
        Verb(
            "reset-spend",
            "Let the budget of a key count from now on; its receipts stay.",
            "key_01k...",
            "/key/{key}/reset_spend",
            Said("{key}: counts from now on"),
            arguments=(_KEY,),
            sends={"reset_to": 0},
        ),
    ),
)
