"""Reads the database of a LiteLLM proxy: its tables, which Prisma names in mixed case, as JSON rows; writes nothing."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec
from sqlalchemy import bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.errors import InvalidRequest
from app.storage.postgres.engine import UNREACHABLE, create_engine, transaction

# What Prisma understands in a URL and the driver does not.
_PRISMA_OPTIONS = frozenset(
    {
        "schema", "connection_limit", "pool_timeout", "pgbouncer", "connect_timeout", "socket_timeout", "sslaccept",
        "statement_cache_size", "application_name",
    }
)  # fmt: skip
_DEFAULT_SCHEMA = "public"
# Logs and what is derived of them: there is no use in counting their rows as something that was left behind.
_LOGS = ("Daily", "SpendLog", "ErrorLog", "AuditLog", "Deleted", "CronJob", "HealthCheck", "UserNotifications")
# Days of the present are kept apart, so that budgets find what was spent in their windows; older ones go by month.
_DAILY = """
SELECT jsonb_build_object(
    'date', day, 'api_key', api_key, 'user_id', min(user_id), 'model', model, 'model_group', model_group,
    'custom_llm_provider', custom_llm_provider, 'prompt_tokens', sum(prompt_tokens)::bigint,
    'completion_tokens', sum(completion_tokens)::bigint,
    'cache_read_input_tokens', sum(cache_read_input_tokens)::bigint,
    'cache_creation_input_tokens', sum(cache_creation_input_tokens)::bigint,
    'spend', sum(spend::numeric))::text
FROM (SELECT *, CASE WHEN date >= :recent THEN date
    ELSE to_char(date_trunc('month', date::date) + interval '1 month - 1 day', 'YYYY-MM-DD') END AS day
    FROM {table}) AS days
GROUP BY day, api_key, model, model_group, custom_llm_provider ORDER BY day, api_key, model
"""


@dataclass(frozen=True, slots=True)
class LiteLLMDatabase:
    """``tables`` are those that were asked for; ``others`` counts the rows of the rest, logs aside."""

    tables: dict[str, list[msgspec.Raw]]
    others: dict[str, int]


async def read_database(url: str, wanted: Collection[str], daily: Collection[str], recent: date) -> LiteLLMDatabase:
    """Days of the tables ``daily`` that come before ``recent`` are added up by month.

    Raises InvalidRequest for what is no database of LiteLLM's, StorageUnavailable when it does not answer.
    """
    bare, schema = _for_the_driver(url)
    try:
        engine = create_engine(bare, pool_size=1, max_overflow=0)
    except ValueError as error:
        raise InvalidRequest(str(error).replace("DATABASE_URL", "--database-url")) from error
    try:
        async with transaction(engine) as connection:
            await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
            present = await _present(connection, schema)
            if not present & set(wanted):
                raise InvalidRequest(f'no tables of LiteLLM in schema "{schema}" of that database')
            tables = {
                name: await _rows(connection, schema, name, recent if name in daily else None)
                for name in wanted
                if name in present
            }
            rest = sorted(name for name in present - set(wanted) if not any(log in name for log in _LOGS))
            counts = {name: await _count(connection, schema, name) for name in rest}
        return LiteLLMDatabase(tables, {name: count for name, count in counts.items() if count})
    except UNREACHABLE as error:
        raise InvalidRequest(f"LiteLLM's database does not answer: {error}") from error
    finally:
        await engine.dispose()


async def _present(connection: AsyncConnection, schema: str) -> set[str]:
    query = text("SELECT tablename FROM pg_tables WHERE schemaname = :schema AND tablename LIKE 'LiteLLM\\_%'")
    return set((await connection.execute(query, {"schema": schema})).scalars())


async def _rows(connection: AsyncConnection, schema: str, name: str, recent: date | None) -> list[msgspec.Raw]:
    table = _quoted(schema, name)
    if recent is None:
        query = text(f"SELECT to_jsonb(source)::text FROM {table} AS source")  # noqa: S608  a name of the catalogue
    else:
        query = text(_DAILY.format(table=table)).bindparams(bindparam("recent", recent.isoformat()))
    return [msgspec.Raw(row.encode()) for row in (await connection.execute(query)).scalars()]


async def _count(connection: AsyncConnection, schema: str, name: str) -> int:
    answer: Any = await connection.execute(text(f"SELECT count(*) FROM {_quoted(schema, name)}"))  # noqa: S608
    return int(answer.scalar_one())


def _quoted(schema: str, name: str) -> str:
    return ".".join('"' + part.replace('"', '""') + '"' for part in (schema, name))


def _for_the_driver(url: str) -> tuple[str, str]:
    """The URL without Prisma's options, and the schema that they name."""
    parts = urlsplit(url)
    options = parse_qsl(parts.query)
    schema = dict(options).get("schema", _DEFAULT_SCHEMA)
    kept = urlencode([(name, value) for name, value in options if name not in _PRISMA_OPTIONS])
    return urlunsplit(parts._replace(query=kept)), schema
