"""Receipts and their sums as LiteLLM answers them."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import Row

from app.admin.spend import GroupBy, Sum
from app.api.admin.answers import number
from app.api.finance.dates import Days

_CALL_TYPES = {"anthropic_messages": "anthropic_messages", "openai_chat": "acompletion"}
_GROUPS = {
    "team": ("teams", "team_name"),
    "customer": ("customers", "customer"),
    "organization": ("organizations", "organization_name"),
}
NO_TEAM = "Unassigned Team"


def render_log(row: Row[Any]) -> dict[str, Any]:
    """A receipt as a row of LiteLLM's SpendLogs; ``api_key`` is our key id."""
    ended = row.started_at + timedelta(milliseconds=row.duration_ms)
    first_byte = None if row.first_byte_ms is None else row.started_at + timedelta(milliseconds=row.first_byte_ms)
    prompt = _prompt_tokens(row)
    completion = row.output_tokens + row.audio_output_tokens
    return {
        "request_id": row.request_id,
        "call_type": _CALL_TYPES.get(row.protocol_in, row.protocol_in),
        "api_key": row.key_id,
        "spend": number(row.cost_nanousd),
        "total_tokens": prompt + completion,
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "startTime": row.started_at,
        "endTime": ended,
        "completionStartTime": first_byte,
        "request_duration_ms": row.duration_ms,
        "model": row.model_served,
        "model_id": row.deployment_id,
        "model_group": row.model_asked,
        "custom_llm_provider": row.provider,
        "api_base": "",
        "user": row.user_id or "",
        "team_id": row.team_id,
        "organization_id": row.organization_id,
        "end_user": row.customer_id or "",
        "session_id": row.session_id,
        "agent_id": row.agent_id,
        "request_tags": row.tags,
        "status": "success" if row.status == "ok" else "failure",
        "cache_hit": "True" if row.usage_source == "cache" else "False",
        "cache_key": None,
        "cache_read_input_tokens": row.cache_read_tokens,
        "cache_creation_input_tokens": row.cache_write_5m_tokens + row.cache_write_1h_tokens,
        "requester_ip_address": None,
        "messages": {},
        "response": {},
        "proxy_server_request": {},
        "metadata": _metadata(row, prompt, completion),
    }


def _metadata(row: Row[Any], prompt: int, completion: int) -> dict[str, Any]:
    return {
        "user_api_key": row.key_id,
        "user_api_key_alias": row.key_alias,
        "user_api_key_team_id": row.team_id,
        "user_api_key_team_alias": row.team_alias,
        "user_api_key_org_id": row.organization_id,
        "user_api_key_project_id": row.project_id,
        "user_api_key_user_id": row.user_id,
        "status": row.status,
        "attempt": row.attempt,
        "streamed": row.streamed,
        "route": row.route,
        "kind": row.kind,
        "request_class": row.request_class,
        "project": row.project,
        "parent_agent_id": row.parent_agent_id,
        "agent_type": row.agent_type,
        "prompt_id": row.prompt_id,
        "client": row.client,
        "protocol_out": row.protocol_out,
        "finish_reason": row.finish_reason,
        "usage_source": row.usage_source,
        "saved_spend": number(row.saved_nanousd),
        "step_down": row.step_down,
        "price_version": row.price_version,
        "price_source": row.price_source,
        "service_tier": row.service_tier or None,
        "usage_object": {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "input_tokens": row.input_tokens,
            "output_tokens": row.output_tokens,
            "cache_read_input_tokens": row.cache_read_tokens,
            "cache_creation_input_tokens": row.cache_write_5m_tokens + row.cache_write_1h_tokens,
            "cache_creation": {
                "ephemeral_5m_input_tokens": row.cache_write_5m_tokens,
                "ephemeral_1h_input_tokens": row.cache_write_1h_tokens,
            },
            "reasoning_tokens": row.reasoning_tokens,
            "audio_input_tokens": row.audio_input_tokens,
            "audio_output_tokens": row.audio_output_tokens,
            "images": row.images,
            "web_search_requests": row.web_searches,
        },
        "cost_breakdown": {
            "input_cost": number(row.input_cost_nanousd),
            "cache_read_cost": number(row.cache_read_cost_nanousd),
            "cache_creation_cost": number(row.cache_write_cost_nanousd),
            "output_cost": number(row.output_cost_nanousd),
            "tool_usage_cost": number(row.other_cost_nanousd),
            "total_cost": number(row.cost_nanousd),
        },
        "notional_cost": None if row.notional_nanousd is None else number(row.notional_nanousd),
    }


def _prompt_tokens(row: Row[Any]) -> int:
    cached = row.cache_read_tokens + row.cache_write_5m_tokens + row.cache_write_1h_tokens
    return int(row.input_tokens + cached + row.audio_input_tokens)


def render_days(sums: Iterable[Sum], days: Days) -> list[dict[str, Any]]:
    """Spend per day, by user, model and key; days without spend after the last one are zeros, none if none spent."""
    found = []
    for day, of_day in groupby(sums, key=lambda cell: cell.day):
        cells = list(of_day)
        found.append(
            {
                "startTime": day,
                "spend": number(_cost(cells)),
                "users": _by(cells, "user_id"),
                "models": _by(cells, "model"),
                **_by(cells, "key_id"),
            }
        )
    if found and days.last is not None:
        last = days.last.fromisoformat(str(found[-1]["startTime"]))
        for ahead in range(1, (days.last - last).days + 1):
            empty = str(last + timedelta(days=ahead))
            found.append({"startTime": empty, "spend": number(0), "users": {}, "models": {}})
    return found


def render_groups(sums: Iterable[Sum], group_by: GroupBy) -> list[dict[str, Any]]:
    """A report by team or customer: days, in them groups, in them models and keys."""
    plural, singular = _GROUPS[group_by]
    report = []
    for day, of_day in groupby(sums, key=lambda cell: cell.day):
        groups = []
        for group, of_group in groupby(of_day, key=lambda cell: cell.group):
            cells = list(of_group)
            name = NO_TEAM if group is None and group_by == "team" else group
            groups.append({singular: name, "total_spend": number(_cost(cells)), "metadata": _by_model_and_key(cells)})
        report.append({"group_by_day": f"{day}T00:00:00", plural: groups})
    return report


def render_keys(sums: Iterable[Sum]) -> list[dict[str, Any]]:
    """A report by key: over all days, with its models."""
    by_key: dict[str, list[Sum]] = {}
    for cell in sums:
        by_key.setdefault(cell.key_id, []).append(cell)
    report = []
    for key_id, cells in by_key.items():
        by_model: dict[str, list[Sum]] = {}
        for cell in cells:
            by_model.setdefault(cell.model, []).append(cell)
        details = [{"model": model, **_totals(of_model)} for model, of_model in by_model.items()]
        report.append({"api_key": key_id, **_totals(cells), "model_details": details})
    return report


def _by_model_and_key(cells: Sequence[Sum]) -> list[dict[str, Any]]:
    found: dict[tuple[str, str], list[Sum]] = {}
    for cell in cells:
        found.setdefault((cell.model, cell.key_id), []).append(cell)
    return [
        {
            "model": model,
            "api_key": key_id,
            "spend": number(_cost(of_pair)),
            "total_tokens": sum(cell.prompt_tokens + cell.completion_tokens for cell in of_pair),
        }
        for (model, key_id), of_pair in found.items()
    ]


def _totals(cells: Sequence[Sum]) -> dict[str, Any]:
    return {
        "total_cost": number(_cost(cells)),
        "total_input_tokens": sum(cell.prompt_tokens for cell in cells),
        "total_output_tokens": sum(cell.completion_tokens for cell in cells),
    }


def _by(cells: Sequence[Sum], name: str) -> dict[str, Any]:
    amounts: dict[str, int] = {}
    for cell in cells:
        owner = getattr(cell, name) or ""
        amounts[owner] = amounts.get(owner, 0) + cell.cost_nanousd
    return {owner: number(amount) for owner, amount in amounts.items()}


def _cost(cells: Iterable[Sum]) -> int:
    return sum(cell.cost_nanousd for cell in cells)
