"""Models made at run time, groups of models, and the credentials of providers."""

from sqlalchemy import Column, Index, Table, Text, text

from app.storage.postgres.columns import (
    flag_column,
    id_column,
    map_column,
    metadata,
    reference_column,
    sealed_columns,
    texts_column,
    time_column,
)

provider_credentials = Table(
    "provider_credentials",
    metadata,
    id_column("credential_id"),
    Column("name", Text, nullable=False, unique=True),
    # What is no secret of it: an address, a region.
    map_column("public_values"),
    *sealed_columns(),
    map_column("metadata"),
    time_column("created_at"),
    Column("created_by", Text, nullable=False, server_default=text("''")),
    time_column("updated_at"),
    Column("updated_by", Text, nullable=False, server_default=text("''")),
)

# One host of a model, as LiteLLM writes an entry of its model_list; several with one name serve it alike.
deployments = Table(
    "deployments",
    metadata,
    id_column("deployment_id"),
    Column("model_name", Text, nullable=False),
    # Without its secrets, which are sealed; an amount is a text.
    map_column("litellm_params"),
    *sealed_columns(),
    reference_column("credential_id", "provider_credentials.credential_id"),
    map_column("model_info"),
    flag_column("blocked"),
    time_column("created_at"),
    Column("created_by", Text, nullable=False),
    time_column("updated_at"),
    Column("updated_by", Text, nullable=False),
    Index("ix_deployments_model_name", "model_name"),
    Index("ix_deployments_credential_id", "credential_id"),
)

access_groups = Table(
    "access_groups",
    metadata,
    id_column("access_group"),
    Column("description", Text),
    texts_column("model_names"),
    time_column("created_at"),
    Column("created_by", Text, nullable=False),
    time_column("updated_at"),
    Column("updated_by", Text, nullable=False),
)

# A group may also be made by the entries of its models alone, so this names no row of access_groups.
access_group_budgets = Table(
    "access_group_budgets",
    metadata,
    id_column("access_group"),
    reference_column("budget_id", "budgets.budget_id", required=True),
)
