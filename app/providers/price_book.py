"""What a model costs: the operator's own prices, then the bundled ones, then a rule; never nothing by accident."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

from app.base.clock import now
from app.base.money import price_per_million
from app.domain.catalog import undated
from app.domain.pricing import PriceSchedule, PriceSheet, PriceSource, Rates, Service, Tier
from app.providers.host_table import HOSTS
from app.providers.model_ids import spellings
from app.providers.price_table import BundledModel, DatedPrices, PriceTable, load_table
from app.providers.service_prices import services_of
from app.providers.written_prices import written_services, written_tiers, written_with

_OLDEST_SNAPSHOT = date(2022, 1, 1)
# What may follow a model's name beside a full date: a month, a month and a day, a number of Google's.
_SUFFIX = re.compile(r"-(latest|preview|exp|(0[1-9]|1[0-2])-([0-3]\d|20\d\d)|2[2-9](0[1-9]|1[0-2])|00\d)$", re.ASCII)
_DATE_SUFFIX = re.compile(r"[-@](20\d{2})-?(\d{2})-?(\d{2})$", re.ASCII)
_SUFFIXES_CUT = 2


def _flat(input_dollars: str, output_dollars: str) -> Rates:
    """Dollars per million tokens, with Anthropic's multiples for the prompt cache."""
    per_token = Decimal(input_dollars) / 1_000_000, Decimal(output_dollars) / 1_000_000
    plain, output = price_per_million(per_token[0]), price_per_million(per_token[1])
    return Rates(
        input=plain,
        output=output,
        cache_read=plain // 10,
        cache_write_5m=plain * 5 // 4,
        cache_write_1h=plain * 2,
        reasoning=output,
        audio_input=plain,
        audio_output=output,
    )


_FREE = Rates(0, 0, 0, 0, 0, 0, 0, 0)
_FOR_NOTHING = DatedPrices(since=None, rates=_FREE, tiers=())
FALLBACK = _flat("5", "25")
DEMO = _flat("1", "5")

_LISTS_BEHIND: Mapping[str, tuple[str, ...]] = {
    "azure": ("openai", "anthropic"),
    "google": ("anthropic",),
    "aws": ("anthropic",),
}
"""Whose price holds for a model that a cloud's own list lacks: that of its maker."""

# What a list offers to talk to; of others nothing, as names there are the operator's own or begin with a place.
_OFFERED = {
    "anthropic": re.compile(r"claude-(?!(2|v1|instant|3-)).*", re.ASCII),
    "openai": re.compile(
        r"(?!(ada|babbage|curie|davinci|text-|ft:|codex-mini|computer-use|gpt-oss|gpt-3|gpt-4-|gpt-4\.5-|gpt-4o-20)"
        r"|gpt-4$|o1-(mini|preview)|.*-preview|.*-chat-latest).*",
        re.ASCII,
    ),
    "deepseek": re.compile(r"deepseek-(chat|reasoner|flash|v[4-9].*)", re.ASCII),
    "google": re.compile(r"gemini-(2\.5|[3-9])(?!.*flash-preview)[\w.-]*", re.ASCII),
    "openrouter": re.compile(r"[^~/][^/]*/.*", re.ASCII),
    "cohere": re.compile(r"command-(a|r).*", re.ASCII),
    "mistral": re.compile(r"(mi[ns]i?s?tral|magistral|codestral|devstral|pixtral)-.*", re.ASCII),
    "groq": re.compile(r"(?!.*(-preview|-specdec|\d{4}$)).*", re.ASCII),
    "x-ai": re.compile(r"grok-([3-9]|code|build).*", re.ASCII),
    "together": re.compile(r".*", re.ASCII),
    "fireworks": re.compile(r".*", re.ASCII),
    "perplexity": re.compile(r"sonar.*", re.ASCII),
}
# What is no chat model, though it has a price of its output, or is one at other terms.
_NO_CHAT = re.compile(
    r".*(audio|realtime|transcribe|whisper|-tts|-image|[-:]search|live|voice|moderation|guard|deep-research|\.ft-|:|embed"
    r"|-ocr|-cyber|-rosalind|-omni-|robotics|banana|multi-agent).*|gpt.*-instruct.*",
    re.ASCII | re.IGNORECASE,
)
# Lists that name many models which are long gone: current ones are those of which they know the context window.
_NEEDS_WINDOW = frozenset({"openrouter", "together", "groq"})


@dataclass(frozen=True, slots=True)
class OfferedModel:
    """A chat model that a provider offers now."""

    name: str
    display_name: str
    max_input_tokens: int | None


class PriceBook:
    """Finds the prices of a model: those of today, or of all times."""

    def __init__(self, table: PriceTable, today: date | None = None) -> None:
        """``today`` None is the day of the clock, which goes on."""
        self._table = table
        self._fixed_day = today
        self._names: dict[str, dict[str, BundledModel]] = {}
        for price_list, models in table.lists.items():
            # A model's own entry comes before another one's claim to its name.
            names = {name: model for model in models for name in model.names}
            self._names[price_list] = names | {model.model_id.lower(): model for model in models}

    @classmethod
    def load(cls, cache_path: Path | None) -> "PriceBook":
        """With the bundled prices, compiled once and kept at ``cache_path``. Raises PricesUnavailable."""
        return cls(load_table(cache_path))

    def find(self, provider: str, model: str) -> PriceSheet | None:
        """The bundled price: of the exact id, or of the id without its date where that date can be; else None."""
        known = self._of_host(provider, model)
        return None if known is None else self._bundled(provider, model, self._in_force(known, self._today()))

    def price_of(self, provider: str, model: str) -> PriceSheet:
        """The bundled price, or that of the rule: local hosts 0, the demo its own, what is unknown the fallback's."""
        return self.configured(provider, model, {})

    def configured(
        self, provider: str, model: str, written: Mapping[str, Decimal], base_model: str | None = None
    ) -> PriceSheet:
        """The operator's own prices (LiteLLM's names, dollars per unit) over what else is known of the model.

        A class that is not written follows: in the bundled proportion to the written input or output rate where the
        model (or its ``base_model``) is known; else Anthropic reads its cache at 0.1 and writes it at 1.25 (5 min)
        and 2 (1 h) times the input rate, and other hosts charge the input rate for both.
        """
        known = self._known(provider, model, base_model)
        return self._priced(provider, base_model or model, written, known, self._today())

    def schedule(
        self, provider: str, model: str, written: Mapping[str, Decimal] | None = None, base_model: str | None = None
    ) -> PriceSchedule:
        """As ``configured``, for all the days on which the bundled price changes."""
        known = self._known(provider, model, base_model)
        days = sorted({prices.since for prices in known or () if prices.since is not None})
        sheets: list[tuple[datetime | None, PriceSheet]] = []
        for since in (None, *days):
            sheet = self._priced(provider, base_model or model, written or {}, known, since or date.min)
            if not sheets or sheet != sheets[-1][1]:
                sheets.append((None if since is None else datetime.combine(since, time(), UTC), sheet))
        return PriceSchedule(tuple(sheets))

    def _priced(
        self,
        provider: str,
        model: str,
        written: Mapping[str, Decimal],
        known: tuple[DatedPrices, ...] | None,
        day: date,
    ) -> PriceSheet:
        prices = None if known is None else self._in_force(known, day)
        if written:
            base, tiers = (prices.rates, prices.tiers) if prices is not None else (self._proportions(provider), ())
            rates = written_with(base, written)
            services = services_of(provider, model, written_services(rates, written))
            return self._sheet("config", rates, written_tiers(rates, tiers, written), services)
        if prices is not None:
            return self._bundled(provider, model, prices)
        if provider == "demo":
            return self._sheet("demo", DEMO)
        host = HOSTS.get(provider)
        if host is not None and host.local:
            return self._sheet("local", _FREE)
        return self._sheet("fallback", FALLBACK, services=services_of(provider, model))

    def _bundled(self, provider: str, model: str, prices: DatedPrices) -> PriceSheet:
        return self._sheet("bundled", prices.rates, prices.tiers, services_of(provider, model))

    @property
    def version(self) -> str:
        """Of the bundled prices."""
        return self._table.version

    def offered(self, provider: str) -> tuple[OfferedModel, ...]:
        """The chat models that the provider offers now, as far as the bundled data knows; newest names last."""
        host = HOSTS.get(provider)
        price_list = None if host is None else host.price_list
        offered = _OFFERED.get(price_list or "")
        if price_list is None or offered is None:
            return ()
        return tuple(
            OfferedModel(model.model_id, _display_name(model), model.max_input_tokens)
            for model in self._table.lists.get(price_list, ())
            if model.generates_text
            and model.current
            and offered.fullmatch(model.model_id)
            and not _NO_CHAT.fullmatch(model.model_id)
            and (model.max_input_tokens or price_list not in _NEEDS_WINDOW)
        )

    def known_model(self, provider: str, model: str) -> BundledModel | None:
        """What the bundled data says of a model that has a price list of its host's behind it; None where nothing."""
        host = HOSTS.get(provider)
        if host is None or host.local or host.price_list is None:
            return None
        return self._in_lists((host.price_list, *_LISTS_BEHIND.get(host.price_list, ())), host.price_list, model)

    def _proportions(self, provider: str) -> Rates:
        host = HOSTS.get(provider)
        if host is not None and host.local:
            return _FREE
        if host is not None and "anthropic_messages" in host.protocols:
            return FALLBACK
        plain = FALLBACK.input
        return replace(FALLBACK, cache_read=plain, cache_write_5m=plain, cache_write_1h=plain)

    def _known(self, provider: str, model: str, base_model: str | None) -> tuple[DatedPrices, ...] | None:
        known = self._of_base(provider, base_model) if base_model else None
        return known or self._of_host(provider, model)

    def _of_host(self, provider: str, model: str) -> tuple[DatedPrices, ...] | None:
        """By the host's own list, then by those behind it; a host without a list may serve anybody's models."""
        host = HOSTS.get(provider)
        if host is None or host.local or host.name == "demo":
            return None
        if provider == "openrouter" and model.lower().endswith(":free"):
            return (_FOR_NOTHING,)
        if host.price_list is None:
            return self._of_any(model)
        known = self.known_model(provider, model)
        return None if known is None else known.prices

    def _of_base(self, provider: str, base_model: str) -> tuple[DatedPrices, ...] | None:
        """Also for ``azure/gpt-4o`` and the like: a base model may name another provider, or none."""
        named, slash, rest = base_model.partition("/")
        found = self._of_host(provider, base_model)
        if found is None and slash and named in HOSTS:
            found = self._of_host(named, rest)
        return found or self._of_any(rest if slash and named in HOSTS else base_model)

    def _of_any(self, model: str) -> tuple[DatedPrices, ...] | None:
        known = self._in_lists(tuple(self._names), "", model)
        return None if known is None else known.prices

    def _in_lists(self, price_lists: tuple[str, ...], spelled_for: str, model: str) -> BundledModel | None:
        names = tuple(spellings(spelled_for, model))
        for price_list in price_lists:
            for name in names:
                bundled = self._find_bundled(price_list, name)
                if bundled is not None:
                    return bundled
        return None

    def _find_bundled(self, price_list: str, name: str) -> BundledModel | None:
        names = self._names.get(price_list)
        if names is None:
            return None
        for _ in range(_SUFFIXES_CUT + 1):
            if name in names:
                return names[name]
            shorter = self._without_suffix(name)
            if shorter is None:
                break
            name = shorter
        if not name.startswith("ft:"):
            return names.get(f"{name}-preview")
        tuned = [(prefix, entry) for entry in names.values() for prefix in entry.prefixes if name.startswith(prefix)]
        return max(tuned, key=lambda pair: len(pair[0]))[1] if tuned else None

    def _without_suffix(self, name: str) -> str | None:
        """A date counts when there can be a snapshot of that day: real, and no later than tomorrow."""
        plain = undated(name)
        if plain is None:
            cut = _SUFFIX.sub("", name)
            return cut if cut != name else None
        match = _DATE_SUFFIX.search(name)
        assert match is not None
        snapshot = date(int(match[1]), int(match[2]), int(match[3]))
        return plain if _OLDEST_SNAPSHOT <= snapshot <= self._today() + timedelta(days=1) else None

    def _today(self) -> date:
        return self._fixed_day or now().date()

    def _in_force(self, prices: tuple[DatedPrices, ...], day: date) -> DatedPrices:
        """The last price that has begun, the first one where none has."""
        begun = [one for one in prices if one.since is None or one.since <= day]
        return begun[-1] if begun else prices[0]

    def _sheet(
        self, source: PriceSource, rates: Rates, tiers: tuple[Tier, ...] = (), services: tuple[Service, ...] = ()
    ) -> PriceSheet:
        edition = f"{source}:{self._table.version}" if source == "bundled" else source
        return PriceSheet(f"{edition}:{digest_of(source, rates, tiers)}", source, rates, tiers, services=services)


def digest_of(source: PriceSource, rates: Rates, tiers: tuple[Tier, ...]) -> str:
    """Eight characters that tell one price from another."""
    numbers = [source, *_numbers(rates), *(number for tier in tiers for number in astuple(tier))]
    return hashlib.sha256(repr(numbers).encode()).hexdigest()[:8]


def _numbers(rates: Rates) -> tuple[int, ...]:
    """Without what there was no price of at first, where that is nothing: versions stay what they were."""
    numbers = astuple(rates)
    return numbers if rates.file_searches else numbers[:-1]


def _display_name(model: BundledModel) -> str:
    """The data's own name where it is one, else the id as its maker writes it: ``GPT-4o mini``, ``o3-pro``."""
    name = model.display_name
    if name and name[0].isupper():
        return name
    family, dash, rest = model.model_id.partition("-")
    return f"GPT-{rest.replace('-', ' ')}" if family == "gpt" and dash else model.model_id
