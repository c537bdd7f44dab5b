"""Organizations, teams, projects, users, their memberships, customers, tags, and the budgets of all of them."""

from sqlalchemy import BigInteger, Column, DateTime, Index, PrimaryKeyConstraint, Table, Text, text

from app.storage.postgres.columns import (
    flag_column,
    id_column,
    limit_columns,
    list_column,
    map_column,
    metadata,
    optional_time_column,
    reference_column,
    since_column,
    texts_column,
    time_column,
)

organizations = Table(
    "organizations",
    metadata,
    id_column("organization_id"),
    Column("organization_alias", Text),
    texts_column("models"),
    Column("allowed_model_region", Text),
    map_column("metadata"),
    time_column("created_at"),
    time_column("updated_at"),
    reference_column("budget_id", "budgets.budget_id"),
    since_column("budget_since"),
    *limit_columns(),
    flag_column("blocked"),
    Column("created_by", Text),
    Column("updated_by", Text),
)

teams = Table(
    "teams",
    metadata,
    id_column("team_id"),
    Column("team_alias", Text),
    reference_column("organization_id", "organizations.organization_id"),
    texts_column("models"),
    Column("allowed_model_region", Text),
    flag_column("blocked"),
    map_column("metadata"),
    time_column("created_at"),
    Column("created_by", Text, nullable=False),
    time_column("updated_at"),
    Column("updated_by", Text, nullable=False),
    reference_column("budget_id", "budgets.budget_id"),
    since_column("budget_since"),
    *limit_columns(),
    # What each member may spend where the membership has no budget of its own.
    reference_column("member_budget_id", "budgets.budget_id"),
    since_column("member_budget_since"),
    Index("ix_teams_organization_id", "organization_id"),
)

# A part of a team's work, which keys of the team may belong to.
projects = Table(
    "projects",
    metadata,
    id_column("project_id"),
    Column("project_alias", Text),
    Column("description", Text),
    reference_column("team_id", "teams.team_id", required=True),
    texts_column("models"),
    flag_column("blocked"),
    map_column("metadata"),
    time_column("created_at"),
    Column("created_by", Text, nullable=False),
    time_column("updated_at"),
    Column("updated_by", Text, nullable=False),
    reference_column("budget_id", "budgets.budget_id"),
    since_column("budget_since"),
    *limit_columns(),
    Index("ix_projects_team_id", "team_id"),
)

users = Table(
    "users",
    metadata,
    id_column("user_id"),
    Column("user_alias", Text),
    Column("user_email", Text),
    Column("user_role", Text),
    reference_column("organization_id", "organizations.organization_id"),
    map_column("metadata"),
    time_column("created_at"),
    time_column("updated_at"),
    texts_column("models"),
    reference_column("budget_id", "budgets.budget_id"),
    since_column("budget_since"),
    *limit_columns(),
    flag_column("blocked"),
    Column("created_by", Text),
    Column("updated_by", Text),
)

memberships = Table(
    "memberships",
    metadata,
    reference_column("team_id", "teams.team_id", required=True, on_delete="CASCADE"),
    reference_column("user_id", "users.user_id", required=True, on_delete="CASCADE"),
    Column("role", Text, nullable=False, server_default=text("'user'")),
    time_column("created_at"),
    reference_column("budget_id", "budgets.budget_id"),
    since_column("budget_since"),
    *limit_columns(),
    PrimaryKeyConstraint("team_id", "user_id"),
    Index("ix_memberships_user_id", "user_id"),
)

organization_memberships = Table(
    "organization_memberships",
    metadata,
    reference_column("organization_id", "organizations.organization_id", required=True, on_delete="CASCADE"),
    reference_column("user_id", "users.user_id", required=True, on_delete="CASCADE"),
    Column("role", Text, nullable=False, server_default=text("'internal_user'")),
    time_column("created_at"),
    reference_column("budget_id", "budgets.budget_id"),
    PrimaryKeyConstraint("organization_id", "user_id"),
    Index("ix_organization_memberships_user_id", "user_id"),
)

# The people a caller names in its requests (end users); a row is only needed for what is set for one of them.
customers = Table(
    "customers",
    metadata,
    id_column("customer_id"),
    Column("customer_alias", Text),
    flag_column("blocked"),
    reference_column("budget_id", "budgets.budget_id"),
    Column("default_model", Text),
    Column("allowed_model_region", Text),
    map_column("metadata"),
    time_column("created_at"),
    time_column("updated_at"),
    since_column("budget_since"),
    texts_column("models"),
    *limit_columns(),
)

# The labels that callers and keys give to calls; a row is only needed for what is set for one of them.
tags = Table(
    "tags",
    metadata,
    id_column("tag"),
    Column("description", Text),
    reference_column("budget_id", "budgets.budget_id"),
    since_column("budget_since"),
    *limit_columns(),
    time_column("created_at"),
    Column("created_by", Text, nullable=False),
    time_column("updated_at"),
    Column("updated_by", Text, nullable=False),
)

budgets = Table(
    "budgets",
    metadata,
    id_column("budget_id"),
    # Null: spend is shown per window of ``duration``, and nothing is refused.
    Column("limit_nanousd", BigInteger),
    Column("duration", Text),
    Column("anchor", DateTime(timezone=True), nullable=False),
    Column("counting_since", DateTime(timezone=True), nullable=False),
    time_column("created_at"),
    time_column("updated_at"),
    # Above it people are told, and nothing is refused.
    Column("soft_limit_nanousd", BigInteger),
    *limit_columns(),
    # Made by /budget/new to be shared by reference; others belong to the one row that names them.
    flag_column("shared"),
    Column("created_by", Text),
    Column("updated_by", Text),
    # Nothing before it counts on the budget; the receipts stay.
    optional_time_column("reset_at"),
    # IANA name; null is UTC.
    Column("timezone", Text),
    # Further windows beside that of ``duration``: [{"duration", "limit_nanousd"}].
    list_column("windows"),
    # Of calls of one model: {"gpt-4o": {"duration", "limit_nanousd"}}.
    map_column("model_budgets"),
    # Counted once for all who name it, not for each.
    flag_column("pooled"),
    # So much more until then.
    Column("increase_nanousd", BigInteger),
    optional_time_column("increase_until"),
    # finish or cut; null: as the settings say.
    Column("on_exceed", Text),
)

# How much of each budget was spent when the watch for alerts looked last, so that the nearest of many are found. What
# names no owner of its kind is empty; without a row nothing was spent.
budget_standings = Table(
    "budget_standings",
    metadata,
    Column("kind", Text, nullable=False),
    Column("team_id", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("budget_id", Text, nullable=False),
    Column("part", Text, nullable=False),
    Column("percent", BigInteger, nullable=False),
    # The end of the window in which that was spent.
    optional_time_column("ends_at"),
    PrimaryKeyConstraint("kind", "team_id", "id", "budget_id", "part"),
)
