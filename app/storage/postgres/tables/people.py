"""How people sign in at the pages, by passwords, identities, sessions and invitations, and what they keep there."""

from sqlalchemy import BigInteger, Column, Index, LargeBinary, PrimaryKeyConstraint, Table, Text, UniqueConstraint, text

from app.storage.postgres.columns import id_column, map_column, metadata, reference_column, time_column

# Of users who sign in with one; whoever has none is a user all the same.
passwords = Table(
    "passwords",
    metadata,
    reference_column("user_id", "users.user_id", required=True, on_delete="CASCADE"),
    # Argon2id in its own text form, which names its costs.
    Column("password_hash", Text, nullable=False),
    time_column("changed_at"),
    PrimaryKeyConstraint("user_id"),
)

browser_sessions = Table(
    "browser_sessions",
    metadata,
    id_column("session_id"),
    reference_column("user_id", "users.user_id", required=True, on_delete="CASCADE"),
    # Of the cookie, under the pepper: the table alone opens no session.
    Column("digest", LargeBinary, nullable=False),
    time_column("started_at"),
    time_column("seen_at"),
    Column("client_address", Text),
    Column("browser", Text),
    # How it was opened: password, sso, invitation or admin key.
    Column("method", Text, nullable=False, server_default=text("'password'")),
    # Of single sign-on: its session at the issuer (sid), and the ID token under a key that the cookie alone gives.
    Column("issuer_session", Text),
    Column("sealed_id_token", LargeBinary),
    Index("uq_browser_sessions_digest", "digest", unique=True),
    Index("ix_browser_sessions_user_id", "user_id"),
    Index("ix_browser_sessions_seen_at", "seen_at"),
)

# Who somebody is at an issuer of single sign-on; its subject never changes, an address may.
identities = Table(
    "identities",
    metadata,
    Column("issuer", Text, nullable=False),
    Column("subject", Text, nullable=False),
    reference_column("user_id", "users.user_id", required=True, on_delete="CASCADE"),
    Column("email", Text),
    time_column("linked_at"),
    time_column("seen_at"),
    PrimaryKeyConstraint("issuer", "subject"),
    Index("ix_identities_user_id", "user_id"),
)

# What the groups of somebody gave at the last sign-in, and what was there before: that much they take away again.
group_grants = Table(
    "group_grants",
    metadata,
    reference_column("user_id", "users.user_id", required=True, on_delete="CASCADE"),
    # {"role": {"given", "before"}, "teams": {id: {…}}, "organizations": {id: {…}}}
    map_column("given"),
    time_column("updated_at"),
    PrimaryKeyConstraint("user_id"),
)

# At most one for each user; whoever opens its link chooses a password.
invitations = Table(
    "invitations",
    metadata,
    reference_column("user_id", "users.user_id", required=True, on_delete="CASCADE"),
    Column("digest", LargeBinary, nullable=False),
    time_column("created_at"),
    Column("created_by", Text, nullable=False),
    time_column("expires_at"),
    PrimaryKeyConstraint("user_id"),
    Index("uq_invitations_digest", "digest", unique=True),
)

# Attempts at secrets in a window of time: by account (a digest of its address) and by network address.
sign_in_attempts = Table(
    "sign_in_attempts",
    metadata,
    id_column("subject"),
    Column("attempts", BigInteger, nullable=False),
    time_column("counting_since"),
    Index("ix_sign_in_attempts_counting_since", "counting_since"),
)

# Addresses of pages that somebody has given names to, for nobody else.
saved_views = Table(
    "saved_views",
    metadata,
    id_column("view_id"),
    reference_column("user_id", "users.user_id", required=True, on_delete="CASCADE"),
    Column("name", Text, nullable=False),
    # A path below /ui, with its query.
    Column("address", Text, nullable=False),
    time_column("created_at"),
    UniqueConstraint("user_id", "name"),
)
