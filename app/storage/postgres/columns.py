"""What the columns of all tables are made of: one metadata, one way to write an id, a time, a flag."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    DateTime,
    ForeignKey,
    LargeBinary,
    MetaData,
    Text,
    bindparam,
    cast,
    literal,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

TIME = DateTime(timezone=True)
NOW = text("now()")
NO_TEXTS = text("'{}'::text[]")
EMPTY_MAP = text("'{}'::jsonb")
EMPTY_LIST = text("'[]'::jsonb")


def times(moments: Iterable[datetime]) -> ColumnElement[Any]:
    """An array of moments. It is sent as texts: about arrays of times the driver asks the server anew on each
    connection that it opens, for ten milliseconds. A query of its own, so that it is read once and not for each row."""
    return _read_as_times(literal(time_texts(moments), ARRAY(Text)))


def times_named(name: str) -> ColumnElement[Any]:
    """As ``times``, of a statement that is made once: its value is ``time_texts``."""
    return _read_as_times(bindparam(name, type_=ARRAY(Text)))


def time_texts(moments: Iterable[datetime]) -> list[str]:
    return [moment.isoformat() for moment in moments]


def _read_as_times(texts: ColumnElement[Any]) -> ColumnElement[Any]:
    return cast(select(cast(texts, ARRAY(TIME))).scalar_subquery(), ARRAY(TIME))


def id_column(name: str) -> Column[str]:
    return Column(name, Text, primary_key=True)


def time_column(name: str) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=NOW)


def optional_time_column(name: str) -> Column[Any]:
    return Column(name, DateTime(timezone=True))


def since_column(name: str) -> Column[Any]:
    """When the reference of the same name last changed, as a trigger notes it; null is longer ago than was noted."""
    return Column(name, DateTime(timezone=True), server_default=NOW)


def texts_column(name: str) -> Column[Any]:
    return Column(name, ARRAY(Text), nullable=False, server_default=NO_TEXTS)


def map_column(name: str) -> Column[Any]:
    return Column(name, JSONB, nullable=False, server_default=EMPTY_MAP)


def flag_column(name: str, *, default: bool = False) -> Column[bool]:
    return Column(name, Boolean, nullable=False, server_default=text("true" if default else "false"))


def count_column(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default=text("0"))


def list_column(name: str) -> Column[Any]:
    return Column(name, JSONB, nullable=False, server_default=EMPTY_LIST)


LIMIT_COUNTS = ("requests_per_minute", "tokens_per_minute", "tokens_per_day", "max_parallel_requests")
LIMIT_COLUMNS = (*LIMIT_COUNTS, "model_requests_per_minute", "model_tokens_per_minute", "further_limits")


def limit_columns() -> list[Column[Any]]:
    """Rate limits of one level: null is none; maps of counts by model; and a list of all others."""
    maps = [map_column("model_requests_per_minute"), map_column("model_tokens_per_minute")]
    return [*(Column(name, BigInteger) for name in LIMIT_COUNTS), *maps, list_column("further_limits")]


def reference_column(name: str, target: str, *, required: bool = False, on_delete: str | None = None) -> Column[str]:
    return Column(name, Text, ForeignKey(target, ondelete=on_delete), nullable=not required)


def sealed_columns() -> list[Column[Any]]:
    """AES-256-GCM; the associated data is the row's id, ``encryption_key_id`` says which key, for rotation."""
    return [Column("ciphertext", LargeBinary), Column("nonce", LargeBinary), Column("encryption_key_id", Text)]
