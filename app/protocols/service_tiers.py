"""The words in which clients ask for a service tier and providers say at which they served, as ``Usage.service``.

Sources: ``service_tier`` of OpenAI's answers and of Anthropic's usage, ``speed`` and ``inference_geo`` of the latter,
``trafficType`` of Vertex AI's.
"""

from collections.abc import Mapping

import msgspec

# OpenAI has called its priority tier fast since summer 2026, and takes both.
_TIERS = {"flex": "flex", "priority": "priority", "fast": "priority", "batch": "batch"}
_DEARER = frozenset({"priority"})
_TRAFFIC = {"ON_DEMAND_PRIORITY": "priority", "ON_DEMAND_FLEX": "flex"}


def openai_service(tier: object) -> str:
    """Also of the word's own bytes in JSON."""
    if isinstance(tier, msgspec.Raw):
        tier = bytes(tier).strip(b'"').decode("ascii", "replace")
    return _TIERS.get(tier, "") if isinstance(tier, str) else ""


def anthropic_service(usage: Mapping[str, object]) -> str:
    """Priority capacity is paid for in advance and otherwise at the standard price, so it is not said."""
    return joined_service(usage.get("service_tier"), usage.get("speed"), usage.get("inference_geo"))


def joined_service(tier: object, speed: object, inference_geo: object) -> str:
    """The same of its parts."""
    if tier != "batch" and speed != "fast" and inference_geo != "us":
        return ""
    said = (
        "batch" if tier == "batch" else "",
        "fast" if speed == "fast" else "",
        "us" if inference_geo == "us" else "",
    )
    return "+".join(filter(None, said))


def gemini_service(traffic: object) -> str:
    return _TRAFFIC.get(traffic, "") if isinstance(traffic, str) else ""


def asked_service(fields: Mapping[str, msgspec.Raw]) -> str:
    """What a request of any protocol asks for that costs more than the standard, so that enough is held for it."""
    if "service_tier" not in fields and "speed" not in fields and "inference_geo" not in fields:
        return ""
    asked = {name: fields.get(name) for name in ("service_tier", "speed", "inference_geo")}
    words = {name: bytes(raw).strip(b'"').decode("ascii", "replace") for name, raw in asked.items() if raw is not None}
    service = openai_service(words.pop("service_tier", None))
    return "+".join(filter(None, (service if service in _DEARER else "", anthropic_service(words))))
