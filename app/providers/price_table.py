"""The bundled prices of ``genai-prices``, compiled to integers by a child process and kept in a file.

The package brings pydantic, an HTTP client and a megabyte of source: 25 MB of memory that a gateway need not hold.
So ``python -m app.providers.price_table`` imports it, prints what we use of it as JSON, and ends.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec

from app.base.errors import GatewayError
from app.base.money import MILLION, NANO_PER_USD
from app.domain.catalog import undated
from app.domain.pricing import Rates, Tier
from app.providers.host_table import HOSTS
from app.providers.model_ids import bedrock_key

PACKAGE = "genai-prices"
PRICES_FILE = "prices.json"
"""What it is called in a home."""
PRICE_LISTS = tuple(dict.fromkeys(host.price_list for host in HOSTS.values() if host.price_list is not None))
_FORMAT = 3
_COMPILE_TIMEOUT_S = 60

# Audio that the package prices as text, in dollars per million tokens (OpenAI's price list of 2025).
_AUDIO_CORRECTIONS = {"gpt-4o-audio-preview": ("40", "80"), "gpt-4o-mini-audio-preview": ("10", "20")}
_MORE_NAMES = {"claude-2": ("claude-2.0", "claude-2.1")}
# Which clauses of a model hold a name of it; of other lists the beginnings alone.
_ANY_PART = ("starts_with", "ends_with", "contains")
_STARTS = frozenset({"starts_with"})
_PARTS = {"google": frozenset(_ANY_PART), "azure": frozenset(_ANY_PART), "cohere": frozenset(_ANY_PART)}


class PricesUnavailable(GatewayError):
    """The bundled prices cannot be read: the installation is broken."""


class DatedPrices(msgspec.Struct, frozen=True):
    """Prices from ``since`` on; None is from the beginning."""

    since: date | None
    rates: Rates
    tiers: tuple[Tier, ...]


class BundledModel(msgspec.Struct, frozen=True):
    """``names`` are exact; ``prefixes`` are of fine-tuned models, whose names end in the owner's own words.

    ``current``: its maker has not said that it will end.
    """

    model_id: str
    display_name: str | None
    max_input_tokens: int | None
    generates_text: bool
    current: bool
    names: tuple[str, ...]
    prefixes: tuple[str, ...]
    prices: tuple[DatedPrices, ...]


class PriceTable(msgspec.Struct, frozen=True):
    """``key`` names the package's version and the form of this table; another key is another file."""

    key: str
    version: str
    lists: dict[str, tuple[BundledModel, ...]]


def load_table(cache_path: Path | None) -> PriceTable:
    """From the cache when it is of the installed version, else compiled (half a second) and kept there if it can be.

    Raises PricesUnavailable.
    """
    key = _key()
    if cache_path is not None:
        try:
            table = msgspec.json.decode(cache_path.read_bytes(), type=PriceTable)
        except (OSError, msgspec.DecodeError):
            table = None
        if table is not None and table.key == key:
            return table
    encoded = _compile_in_child()
    if cache_path is not None:
        _keep(cache_path, encoded)
    return msgspec.json.decode(encoded, type=PriceTable)


def _key() -> str:
    try:
        return f"{version(PACKAGE)}:{_FORMAT}:{','.join(PRICE_LISTS)}"
    except PackageNotFoundError as error:
        raise PricesUnavailable(f'the package "{PACKAGE}" is not installed; run make install') from error


def _compile_in_child() -> bytes:
    command = [sys.executable, "-m", __spec__.name]
    try:
        done = subprocess.run(command, check=True, capture_output=True, timeout=_COMPILE_TIMEOUT_S)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or b"").decode(errors="replace").strip()[-500:]
        raise PricesUnavailable(f'the prices of "{PACKAGE}" cannot be compiled: {said or error}') from error
    return done.stdout


def _keep(path: Path, encoded: bytes) -> None:
    """Whole or not at all. A cache that cannot be written is no failure: the next start compiles again."""
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            file.write(encoded)
        os.replace(file.name, path)
    except OSError:
        return


def compile_table() -> PriceTable:
    """Import the package and take from it what we use. For the child process."""
    from genai_prices.data import providers

    bundled = {provider.id: provider for provider in providers}
    return PriceTable(
        key=_key(),
        version=version(PACKAGE),
        lists={name: tuple(_models(name, bundled[name].models)) for name in PRICE_LISTS},
    )


def _models(price_list: str, models: Iterable[Any]) -> Iterator[BundledModel]:
    for model in models:
        prices = tuple(_dated_prices(model))
        if not prices:
            continue  # sold by the hour or by the picture: no price of ours would be true
        clauses = list(_clauses(model.match))
        starts = [text for kind, text in clauses if kind == "starts_with"]
        equal = [text for kind, text in clauses if kind == "equals"]
        yield BundledModel(
            # What a caller writes: here the short name is the package's own.
            model_id=equal[0] if price_list == "fireworks" and equal else model.id,
            display_name=model.name,
            max_input_tokens=model.context_window,
            generates_text=any(dated.rates.output for dated in prices),
            current=not model.deprecated,
            names=tuple(dict.fromkeys(_names(price_list, model.id, clauses))),
            prefixes=tuple(text for text in starts if text.startswith("ft:")),
            prices=prices,
        )


def _names(price_list: str, model_id: str, clauses: list[tuple[str, str]]) -> Iterator[str]:
    yield model_id.lower()
    if price_list == "aws":
        key = bedrock_key(model_id.lower())
        yield key
        yield undated(key) or key
    for kind, text in clauses:
        if kind == "equals":
            yield text.lower()
        elif kind in _PARTS.get(price_list, _STARTS) and not text.startswith("ft:") and not _half_a_date(text):
            yield text.rstrip("-@").lower()
    yield from _MORE_NAMES.get(model_id, ())


def _clauses(match: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401  one of the package's clause classes
    for kind in ("equals", *_ANY_PART):
        if hasattr(match, kind):
            yield kind, getattr(match, kind)
    for several in ("or_", "and_"):
        for clause in getattr(match, several, ()):
            yield from _clauses(clause)


def _half_a_date(text: str) -> bool:
    return re.search(r"-20\d\d$", text) is not None


def _dated_prices(model: Any) -> Iterator[DatedPrices]:  # noqa: ANN401  the package's ModelInfo
    """Of prices by the hour of the day the highest stands: nothing is told to cost less than it did."""
    conditional = model.prices if isinstance(model.prices, list) else [None]
    dated: list[tuple[date | None, dict[str, Any]]] = []
    for condition in conditional:
        constraint = None if condition is None else condition.constraint
        prices = model.prices if condition is None else condition.prices
        if not hasattr(prices, "input_mtok") or prices.input_mtok is None:
            continue
        written = {name: price for name, price in vars(prices).items() if price is not None} | _corrections(model.id)
        if constraint is None or hasattr(constraint, "start_date"):
            dated.append((None if constraint is None else constraint.start_date, written))
        elif dated:
            since, before = dated[-1]
            dated[-1] = since, {name: _dearer(price, written.get(name)) for name, price in before.items()}
    for since, written in dated:
        thresholds = sorted({tier.start for price in written.values() for tier in getattr(price, "tiers", ())})
        yield DatedPrices(
            since=since,
            rates=_rates(model.id, {name: _at(price, 0) for name, price in written.items()}),
            tiers=tuple(
                Tier(start, _rates(model.id, {name: _at(price, start + 1) for name, price in written.items()}))
                for start in thresholds
            ),
        )


def _dearer(price: Any, other: Any) -> Any:  # noqa: ANN401  Decimal, or the package's TieredPrices
    return other if other is not None and _at(other, 0) > _at(price, 0) else price


def _corrections(model_id: str) -> dict[str, Decimal]:
    if model_id not in _AUDIO_CORRECTIONS:
        return {}
    audio_input, audio_output = _AUDIO_CORRECTIONS[model_id]
    return {"input_audio_mtok": Decimal(audio_input), "output_audio_mtok": Decimal(audio_output)}


def _at(price: Any, prompt_tokens: int) -> Decimal:  # noqa: ANN401  Decimal, or the package's TieredPrices
    if isinstance(price, Decimal):
        return price
    applicable: Decimal = price.base
    for tier in price.tiers:
        if prompt_tokens > tier.start:
            applicable = tier.price
    return applicable


def _rates(model_id: str, dollars: dict[str, Decimal]) -> Rates:
    """Where a class has no price of its own: Claude's multiples for cache writes, else the rate of plain tokens.

    A model that draws is charged its pictures' rate for all that is no thought, as the two are counted together.
    """
    text = dollars["input_mtok"]
    output = dollars.get("output_mtok", Decimal(0))
    claude = "claude" in model_id.lower()
    write_5m, write_1h = (Decimal("1.25"), Decimal(2)) if claude else (Decimal(1), Decimal(1))
    short_write = dollars.get("cache_write_5m_mtok", dollars.get("cache_write_mtok", text * write_5m))
    long_write = dollars.get("cache_write_1h_mtok")
    if long_write is None:
        long_write = text * write_1h if claude else short_write
    return Rates(
        input=_nanousd(text),
        output=_nanousd(max(output, dollars.get("output_image_mtok", output))),
        cache_read=_nanousd(dollars.get("cache_read_mtok", text)),
        cache_write_5m=_nanousd(short_write),
        cache_write_1h=_nanousd(long_write),
        reasoning=_nanousd(dollars.get("output_reasoning_mtok", output)),
        audio_input=_nanousd(dollars.get("input_audio_mtok", text)),
        audio_output=_nanousd(dollars.get("output_audio_mtok", output)),
        # The package prices a thousand searches, we a million.
        web_searches=_nanousd(dollars.get("web_searches_kcount", Decimal(0)) * (MILLION // 1000)),
        file_searches=_nanousd(dollars.get("storage_searches_kcount", Decimal(0)) * (MILLION // 1000)),
    )


def _nanousd(dollars_per_million: Decimal) -> int:
    return int((dollars_per_million * NANO_PER_USD).to_integral_value(ROUND_HALF_UP))


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(compile_table()))
