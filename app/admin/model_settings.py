"""The part of the settings that says which models there are: what the operator wrote, as the catalogue asks for it."""

from collections.abc import Mapping
from typing import Protocol

from app.base.money import NanoUSD
from app.domain.catalog import ModelEntry
from app.providers.hosts import Credential

Spendable = tuple[NanoUSD, str | None]
"""What may be spent, in each window of a period such as ``1d``; None is for ever."""


class ModelSettings(Protocol):
    """Implemented by ``app.settings.Settings``."""

    @property
    def model_entries(self) -> tuple[ModelEntry, ...]: ...
    @property
    def has_model_list(self) -> bool: ...
    @property
    def model(self) -> str | None: ...
    @property
    def credentials(self) -> Mapping[str, Credential]: ...
    @property
    def model_aliases(self) -> Mapping[str, str]: ...
    @property
    def provider_budgets(self) -> Mapping[str, Spendable]: ...
    @property
    def demo_models(self) -> bool | None: ...
    @property
    def claude_code_native_enabled(self) -> bool: ...
    @property
    def claude_code_owner(self) -> str | None: ...
    @property
    def first_byte_timeout_s(self) -> int: ...
    @property
    def idle_timeout_s(self) -> int: ...
    @property
    def total_timeout_s(self) -> int: ...
