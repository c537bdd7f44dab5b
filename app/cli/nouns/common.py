"""Fields and columns that several nouns have."""

from app.cli.nouns.noun import Field, read_count, read_dollars, read_list, read_object, read_texts
from app.cli.tables import Column

STANDING = (
    "max_budget",
    "soft_budget",
    "budget_duration",
    "budget_timezone",
    "budget_limits",
    "model_max_budget",
    "on_exceed",
    "budget_id",
    "budget_reset_at",
    "spend",
    "total_spend",
)
LIMIT_NAMES = (
    "rpm_limit",
    "tpm_limit",
    "tpd_limit",
    "model_rpm_limit",
    "model_tpm_limit",
    "limits",
    "max_parallel_requests",
)
TIMES = ("created_at", "created_by", "updated_at", "updated_by")

MONEY = (Column("spend (USD)", "spend"), Column("budget (USD)", "max_budget", lesser=True))
WINDOW = Column("per", "budget_duration", lesser=True)

MODELS = Field("models", "models", "Comma separated; every model unless set.", read_texts)
COST_CENTER = Field("cost-center", "cost_center", "What reports charge its calls to.")
METADATA = Field("metadata", "metadata", "A JSON object of your own.", read_object)
OWN_BUDGET = (
    Field("max-budget", "max_budget", "Dollars a window.", read_dollars),
    Field("budget-duration", "budget_duration", "Such as 1d, 7d or 30d; without one the budget never resets."),
    Field("timezone", "budget_timezone", "Whose days and months, such as Europe/Berlin; UTC unless set."),
    Field("windows", "budget_limits", 'Further windows: [{"budget_duration": "1d", "max_budget": 5}].', read_list),
    Field("by-model", "model_max_budget", '{"gpt-5": {"budget_limit": 5, "time_period": "1d"}}.', read_object),
    Field("on-exceed", "on_exceed", "finish or cut: a running answer when the budget is full."),
)
BUDGET = (*OWN_BUDGET, Field("budget", "budget_id", "A shared budget, in place of an own one."))
SOFT = Field("soft-budget", "soft_budget", "Dollars above which people are told.", read_dollars)
LIMITS = (
    Field("rpm", "rpm_limit", "Requests per minute.", read_count),
    Field("tpm", "tpm_limit", "Tokens per minute.", read_count),
    Field("tpd", "tpd_limit", "Tokens per day.", read_count),
    Field("model-rpm", "model_rpm_limit", 'Of a model: {"gpt-5": 60}.', read_object),
    Field("model-tpm", "model_tpm_limit", 'Of a model: {"gpt-5": 50000}.', read_object),
    Field("limits", "limits", 'Others: [{"measure": "requests", "per": "hour", "limit": 1000}].', read_list),
    Field("max-parallel", "max_parallel_requests", "Requests at once.", read_count),
)

KEY_COLUMNS = (
    Column("id", "token"),
    Column("key", "key_name"),
    Column("alias", "key_alias", gives=True),
    Column("team", "team_id", gives=True, lesser=True),
    Column("user", "user_id", gives=True, lesser=True),
    *MONEY,
    Column("status", "status"),
)
TEAM_COLUMNS = (
    Column("id", "team_id"),
    Column("alias", "team_alias", gives=True),
    Column("organization", "organization_id", gives=True, lesser=True),
    *MONEY,
    WINDOW,
    Column("blocked", "blocked", lesser=True),
)
MEMBER = Field("user", "user_id", by_address=True)
