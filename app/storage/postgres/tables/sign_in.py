"""Sign-ins of programs: codes that wait for a person, what came of them, and the tokens that keep them up."""

from sqlalchemy import Column, ForeignKey, Index, LargeBinary, Table, Text, text

from app.storage.postgres.columns import (
    TIME,
    id_column,
    metadata,
    optional_time_column,
    reference_column,
    time_column,
)

device_authorizations = Table(
    "device_authorizations",
    metadata,
    id_column("authorization_id"),
    Column("device_digest", LargeBinary, nullable=False, unique=True),
    Column("user_code", Text, nullable=False, unique=True),
    # Who asks, as the person who approves is shown it.
    Column("client_name", Text, nullable=False),
    Column("client_address", Text, nullable=False),
    # pending, approved, denied or redeemed
    Column("state", Text, nullable=False, server_default=text("'pending'")),
    # For whom it was approved; the team is null for a key of no team.
    reference_column("user_id", "users.user_id", on_delete="CASCADE"),
    reference_column("team_id", "teams.team_id", on_delete="CASCADE"),
    optional_time_column("last_polled_at"),
    time_column("created_at"),
    Column("expires_at", TIME, nullable=False),
    Index("ix_device_authorizations_client_address_created_at", "client_address", "created_at"),
)

sign_ins = Table(
    "sign_ins",
    metadata,
    id_column("sign_in_id"),
    reference_column("user_id", "users.user_id", required=True, on_delete="CASCADE"),
    reference_column("team_id", "teams.team_id", on_delete="CASCADE"),
    # The same key through the life of the sign-in; each refresh gives it a new secret.
    reference_column("key_id", "keys.key_id", required=True),
    Column("client_name", Text, nullable=False),
    time_column("created_at"),
    # Without a refresh by then it has lapsed.
    Column("expires_at", TIME, nullable=False),
    optional_time_column("ended_at"),
    Index("ix_sign_ins_key_id", "key_id", unique=True),
    Index("ix_sign_ins_user_id", "user_id"),
    Index("ix_sign_ins_team_id", "team_id"),
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("sign_in_id", Text, ForeignKey("sign_ins.sign_in_id", ondelete="CASCADE"), nullable=False),
    # A token is used once; one that comes again was copied.
    optional_time_column("used_at"),
    time_column("created_at"),
    Index("ix_refresh_tokens_sign_in_id", "sign_in_id"),
)
