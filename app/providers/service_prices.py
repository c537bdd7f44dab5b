"""What service tiers cost beside the standard price, where a provider publishes it as a proportion.

Sources: the public price pages of Anthropic (batches, fast mode, ``inference_geo``), OpenAI (batch, flex, and priority,
which it also calls fast) and Google (batch, flex and priority of Vertex AI), autumn 2026.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from app.domain.pricing import Service


@dataclass(frozen=True, slots=True)
class _Rule:
    """For the models whose whole name matches; of several rules with one name the first that matches holds."""

    models: re.Pattern[str]
    service: Service


def _rule(models: str, name: str, parts: int, of: int = 1, *, pieces: bool = False) -> _Rule:
    return _Rule(re.compile(models, re.ASCII | re.IGNORECASE), Service(name, parts, of, pieces))


_ANTHROPIC = (
    _rule(".*", "batch", 1, 2, pieces=True),
    _rule("claude-opus-4-[67].*", "fast", 6),
    _rule(".*", "fast", 2),
    _rule(".*", "us", 11, 10),
)
_OPENAI = (
    _rule(".*", "batch", 1, 2),
    _rule(".*", "flex", 1, 2),
    _rule(r"gpt-5\.5.*", "priority", 5, 2),
    _rule(r"gpt-5-mini.*", "priority", 9, 5),
    _rule(r"gpt-4\.1(?!-nano).*|o3.*|gpt-4o-2024-05-13", "priority", 7, 4),
    _rule(r"gpt-4o-mini.*", "priority", 5, 3),
    _rule(r"gpt-4o.*", "priority", 17, 10),
    _rule(r"o4-mini.*", "priority", 20, 11),
    # What is not listed: as most are, and none is told to cost less than it does.
    _rule(".*", "priority", 2),
)
_GOOGLE = (
    _rule(".*", "batch", 1, 2),
    _rule(".*", "flex", 1, 2),
    _rule(".*", "priority", 9, 5),
)
_BY_PROVIDER: Mapping[str, tuple[_Rule, ...]] = {
    "anthropic": _ANTHROPIC,
    "claude_code_native": _ANTHROPIC,
    "openai": _OPENAI,
    "azure": _OPENAI,
    "gemini": _GOOGLE,
    "vertex_ai": _GOOGLE,
}


def services_of(provider: str, model: str, known: tuple[Service, ...] = ()) -> tuple[Service, ...]:
    """The tiers of a model beside the standard one; those ``known`` with rates of their own stand for themselves."""
    found = {service.name: service for service in known}
    name = model.rpartition("/")[2]
    for rule in _BY_PROVIDER.get(provider, ()):
        if rule.models.fullmatch(name):
            found.setdefault(rule.service.name, rule.service)
    return tuple(found.values())
