"""How often the gateway has refused, by its own count."""

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.fakes.gateway_process import GatewayProcess


async def refusals(gateway: GatewayProcess, code: str) -> int:
    """How many requests the gateway has refused with this code since it started."""
    async with httpx.AsyncClient(base_url=gateway.base_url, trust_env=False) as client:
        text = (await client.get("/metrics")).text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    wanted = {"code": code}
    return sum(int(one.value) for one in samples if one.name == "keyhouse_refusals_total" and one.labels == wanted)
