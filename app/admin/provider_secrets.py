"""Which values of a model or credential are secrets, and the addresses that they may be sent to."""

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

from app.base.errors import Unprocessable, UpstreamUnreachable
from app.providers.egress import Egress, NotReachable
from app.providers.hosts import PUBLIC_OPTIONS
from app.providers.upstream import parse_url
from app.providers.written_prices import read_price_field

ADDRESSES = ("api_base", "base_url", "aws_bedrock_runtime_endpoint")
HIDDEN = "********"
_SHOWN = PUBLIC_OPTIONS | {
    *ADDRESSES, "allow_relay", "budget_duration", "cooldown_time", "custom_llm_provider", "max_budget", "max_retries",
    "model", "num_retries", "order", "organization", "region_name", "request_timeout", "rpm", "stream_timeout",
    "timeout", "tpm", "use_in_pass_through", "vertex_ai_location", "vertex_ai_project", "weight",
}  # fmt: skip
_LOOKED_UP_IN_S = 3.0


def is_shown(name: str) -> bool:
    """Whether a value is no secret. What nobody has said to be harmless is one: headers, unknown options."""
    return name in _SHOWN or read_price_field(name) is not None


def check_secrets_stay(
    before: Mapping[str, Any], after: Mapping[str, Any], given: Collection[str], section: str
) -> None:
    """A secret that was given for one address is not sent to another. Raises Unprocessable."""
    moved = [name for name in ADDRESSES if before.get(name) != after.get(name)]
    kept = [name for name in before if not is_shown(name) and name in after and name not in given]
    if moved and kept:
        raise Unprocessable(
            f'"{moved[0]}" changes, so give {" and ".join(kept)} anew: a secret is sent only where it was meant for',
            param=f"{section}.{kept[0]}",
        )


async def check_address(egress: Egress, address: str, param: str) -> None:
    """Raises Unprocessable for one that calls may not reach. A host that is unknown now may be known later."""
    try:
        origin, _, _ = parse_url(address)
        async with asyncio.timeout(_LOOKED_UP_IN_S):
            await egress.addresses(origin.host, origin.port)
    except (NotReachable, UpstreamUnreachable) as error:
        raise Unprocessable(f'"{param}" is "{address}": {error}', param=param) from error
    except UnicodeError as error:
        raise Unprocessable(f'"{param}" is "{address}", which names no host', param=param) from error
    except OSError:
        pass
