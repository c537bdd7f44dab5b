"""``keyhouse customers``."""

from app.cli.nouns.common import BUDGET, LIMIT_NAMES, LIMITS, METADATA, MONEY, STANDING, WINDOW
from app.cli.nouns.noun import Field, Noun, Rows, Said, Sheet, Verb, read_texts
from app.cli.tables import Column

_CUSTOMER = Field("customer", "user_id")
_SEVERAL = Field("customer", "user_ids", read=read_texts)
_TERMS = (Field("alias", "alias", "A name for people."), *BUDGET, *LIMITS, METADATA)
CUSTOMERS = Noun(
    "customers",
    "Make, list, change and delete customers: whom callers name in their requests.",
    (
        Verb(
            "create",
            "Make a customer of the name that callers give.",
            "acme --alias 'Acme Ltd'",
            "/customer/new",
            Said("{customer}: made"),
            arguments=(_CUSTOMER,),
            options=_TERMS,
        ),
        Verb(
            "list",
            "Customers by name and spend.",
            "--search acme",
            "/customer/list",
            Rows(
                (
                    Column("id", "user_id", gives=True),
                    Column("alias", "alias", gives=True),
                    *MONEY,
                    WINDOW,
                    Column("blocked", "blocked", lesser=True),
                ),
                "customers",
            ),
            "GET",
            options=(Field("search", "search", "Only with this in the name or alias."),),
        ),
        Verb(
            "show",
            "One customer, and what it spent.",
            "acme",
            "/customer/info",
            Sheet(
                ("user_id", "alias", *STANDING, *LIMIT_NAMES, "blocked", "metadata", "created_at", "updated_at"),
            ),
            "GET",
            arguments=(Field("customer", "end_user_id"),),
        ),
        Verb(
            "update",
            'Change what is given; "none" clears it.',
            "acme --alias 'Acme GmbH'",
            "/customer/update",
            Said("{customer}: changed"),
            arguments=(_CUSTOMER,),
            options=_TERMS,
        ),
        Verb(
            "block",
            "Refuse what is called in the name of a customer.",
            "acme",
            "/customer/block",
            Said("{customer}: blocked"),
            arguments=(_SEVERAL,),
        ),
        Verb(
            "unblock",
            "Accept a blocked customer again.",
            "acme",
            "/customer/unblock",
            Said("{customer}: accepted again"),
            arguments=(_SEVERAL,),
        ),
        Verb(
            "delete",
            "Delete a customer; its receipts stay.",
            "acme",
            "/customer/delete",
            Said("{customer}: deleted"),
            arguments=(_SEVERAL,),
            warns="Delete the customer {customer}?",
        ),
    ),
)
