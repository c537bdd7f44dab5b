"""Receipts of demo data: a run of calls becomes its receipts in Postgres itself, and keys what they have spent."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


class Run(NamedTuple):
    """Calls of one key that follow one another: a session of an agent, or a service at work.

    ``context_tokens`` are written to the prompt cache by the first call where the host charges for that, and read from
    it by the others; ``growth_tokens`` come on top with each call, until there are so many that the agent compacts
    them. The means of what else goes in and out vary by call. Rates are nano-dollars per million tokens. Of the calls
    ``stored_per_mille`` are answered by the response cache, and ``failed_per_mille`` fail.
    """

    number: int
    started_at: datetime
    calls: int
    pause_ms: int
    organization_id: str | None
    team_id: str | None
    user_id: str | None
    key_id: str
    project_id: str | None
    project: str | None
    customer_id: str | None
    tags: Sequence[str]
    session_id: str | None
    agent_id: str | None
    agent_type: str | None
    request_class: str
    client: str | None
    route: str
    protocol: str
    streamed: bool
    model: str
    provider: str
    deployment_id: str
    price_version: str
    input_rate: int
    cache_read_rate: int
    cache_write_rate: int
    output_rate: int
    input_tokens: int
    context_tokens: int
    growth_tokens: int
    output_tokens: int
    stored_per_mille: int
    failed_per_mille: int


_TYPES = {
    "number": "bigint", "started_at": "timestamptz", "tags": "text[]", "streamed": "boolean",
    **dict.fromkeys(
        (
            "calls", "pause_ms", "input_rate", "cache_read_rate", "cache_write_rate", "output_rate", "input_tokens",
            "context_tokens", "growth_tokens", "output_tokens", "stored_per_mille", "failed_per_mille",
        ),
        "bigint",
    ),
}  # fmt: skip
_COLUMNS = ", ".join(f"{name} {_TYPES.get(name, 'text')}" for name in Run._fields)
_MAKE = text(f"CREATE TEMPORARY TABLE demo_runs ({_COLUMNS}) ON COMMIT DROP")


def _dice(which: int) -> str:
    """A whole number from 0 to 999, the same for the same seed, run and call."""
    return f"(hashint8extended(number * 10000 + call, :seed + {which}) & 2147483647) % 1000 AS dice_{which}"


# Whole numbers all the way: what a million tokens cost, times the tokens, is dividable for each price of the list.
_FILL = text(
    f"""
WITH calls AS (
    SELECT demo_runs.*, call, {", ".join(_dice(which) for which in range(1, 6))}
    FROM demo_runs, generate_series(1, demo_runs.calls) AS call
), told AS (
    SELECT calls.*, dice_5 < stored_per_mille AS is_stored,
        CASE WHEN dice_4 < failed_per_mille THEN 'error' WHEN dice_4 > 993 THEN 'hung_up'
            WHEN dice_4 > 991 THEN 'cut' ELSE 'ok' END AS outcome,
        started_at + ((call - 1) * pause_ms + dice_1 * pause_ms / 1500) * interval '1 millisecond' AS at,
        1 + input_tokens * (400 + dice_2 + dice_3 / 5) / 1000 AS fresh,
        CASE WHEN call > 1 THEN context_tokens + growth_tokens * (call - 2) % 150000 ELSE 0 END AS cache_read,
        CASE WHEN cache_write_rate = 0 THEN 0 WHEN call = 1 THEN context_tokens
            ELSE growth_tokens * (500 + dice_3) / 1000 END AS cache_write,
        CASE WHEN output_rate = 0 THEN 0 ELSE 1 + output_tokens * (150 + dice_1 * dice_2 / 400) / 1000 END AS written
    FROM calls
), priced AS (
    SELECT told.*, fresh * input_rate / 1000000 AS input_cost, cache_read * cache_read_rate / 1000000 AS read_cost,
        cache_write * cache_write_rate / 1000000 AS write_cost, written * output_rate / 1000000 AS output_cost,
        CASE WHEN is_stored THEN 4 + dice_2 / 100 ELSE 240 + dice_2 * 9 / 10 + cache_read / 400 END AS first_byte
    FROM told WHERE at < :until
)
INSERT INTO receipts (
    request_id, attempt, started_at, duration_ms, first_byte_ms, organization_id, team_id, user_id, key_id,
    project_id, project, customer_id, tags, session_id, agent_id, agent_type, request_class, client, route,
    model_asked, model_served, provider, deployment_id, protocol_in, protocol_out, streamed,
    input_tokens, cache_read_tokens, cache_write_5m_tokens, output_tokens,
    input_cost_nanousd, cache_read_cost_nanousd, cache_write_cost_nanousd, output_cost_nanousd, cost_nanousd,
    saved_nanousd, price_version, price_source, usage_source, status, finish_reason, booked_at
)
SELECT 'req_' || lpad(to_hex(number), 8, '0') || lpad(to_hex(call), 4, '0')
        || substr(md5((number * :seed)::text), 1, 8),
    1, at, first_byte + CASE WHEN is_stored THEN 0 ELSE written * (11 + dice_3 / 120) END, first_byte, organization_id,
    team_id, user_id, key_id, project_id, project, customer_id, tags, session_id, agent_id, agent_type, request_class,
    client, route, model, model, provider, deployment_id, protocol, protocol, streamed,
    CASE WHEN is_stored THEN 0 ELSE fresh END, CASE WHEN is_stored THEN 0 ELSE cache_read END,
    CASE WHEN is_stored THEN 0 ELSE cache_write END, CASE WHEN is_stored THEN 0 ELSE written END,
    CASE WHEN is_stored THEN 0 ELSE input_cost END, CASE WHEN is_stored THEN 0 ELSE read_cost END,
    CASE WHEN is_stored THEN 0 ELSE write_cost END, CASE WHEN is_stored THEN 0 ELSE output_cost END,
    CASE WHEN is_stored THEN 0 ELSE input_cost + read_cost + write_cost + output_cost END,
    CASE WHEN is_stored THEN input_cost + read_cost + write_cost + output_cost ELSE 0 END,
    price_version, 'bundled', CASE WHEN is_stored THEN 'cache' ELSE 'provider' END,
    CASE WHEN is_stored THEN 'ok' ELSE outcome END,
    CASE WHEN output_rate = 0 OR outcome <> 'ok' AND NOT is_stored THEN NULL
        WHEN session_id IS NULL OR dice_3 < 250 THEN 'end_turn' ELSE 'tool_use' END,
    at + interval '2 seconds'
FROM priced
"""  # noqa: S608  the names are the constants above
)
_KEYS = text(
    """
UPDATE keys SET spend_nanousd = sums.cost_nanousd, last_active_at = sums.last_active_at
FROM (
    SELECT key_id, sum(cost_nanousd)::bigint AS cost_nanousd, max(started_at) AS last_active_at
    FROM receipts GROUP BY key_id
) AS sums WHERE keys.key_id = sums.key_id
"""
)
_FILLED = (
    "receipts", "spend_quarters", "spend_hours", "spend_days", "spend_tag_quarters", "spend_tag_hours",
    "spend_tag_days", "spend_session_quarters", "spend_session_days", "spend_session_days_by_model",
    "spend_owner_days", "spend_days_by_model", "spend_days_by_key", "session_activity", "keys", "audit",
)  # fmt: skip


async def make_room(connection: AsyncConnection) -> None:
    """For ``write_runs``, until the transaction ends."""
    await connection.execute(text("SET LOCAL work_mem = '64MB'"))
    await connection.execute(_MAKE)


async def write_runs(connection: AsyncConnection, runs: Sequence[Run], seed: int, until: datetime) -> None:
    """The receipts of the runs, without those of ``until`` and later; sums and keys do not have them yet."""
    await connection.execute(text("TRUNCATE demo_runs"))
    raw: Any = (await connection.get_raw_connection()).driver_connection
    await raw.copy_records_to_table("demo_runs", records=runs, columns=Run._fields)
    await connection.execute(_FILL, {"seed": seed, "until": until})


async def add_to_keys(connection: AsyncConnection) -> None:
    await connection.execute(_KEYS)


async def look_over(connection: AsyncConnection) -> None:
    """Tell Postgres what it has now: no query may be planned as for empty tables. Outside of any transaction."""
    await connection.execute(text(f"VACUUM (ANALYZE) {', '.join(_FILLED)}"))
