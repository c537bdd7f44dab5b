"""Reads LiteLLM's ``cost_discount_config`` and ``cost_margin_config``: what is taken off and put on by provider."""

from collections.abc import Iterator
from dataclasses import replace

from app.base.money import NanoUSD, parse_usd
from app.domain.price_list import ANY_PROVIDER
from app.domain.pricing import BILLION, MOST_MARGIN, NO_TERMS, Terms
from app.providers.host_table import HOSTS
from app.providers.known_elsewhere import NOT_BUILT
from app.settings.parsing import nearest_names, parse_dollars, parse_fraction
from app.settings.yaml_reading import Item, Reader

GLOBAL = "global"
"""LiteLLM's name for a margin on every provider that has none of its own."""
_MARGIN_NAMES = frozenset({"percentage", "fixed_amount"})


def read_terms(reader: Reader, discounts: Item | None, margins: Item | None) -> dict[str, Terms]:
    """By provider, ``*`` for any; a slip is a problem of the reader's."""
    terms: dict[str, Terms] = {}
    for provider, item in _by_provider(reader, discounts):
        share = _share(reader, item)
        if share is not None:
            terms[provider] = Terms(discount=share)
    for provider, item in _by_provider(reader, margins, also=GLOBAL):
        share, fixed_nanousd = _margin(reader, item)
        name = ANY_PROVIDER if provider == GLOBAL else provider
        terms[name] = replace(terms.get(name, NO_TERMS), margin=share, fixed_nanousd=fixed_nanousd)
    return terms


def _by_provider(reader: Reader, item: Item | None, also: str | None = None) -> Iterator[tuple[str, Item]]:
    for provider, term in ((reader.mapping(item) if item is not None else None) or {}).items():
        if provider in HOSTS or provider in NOT_BUILT or provider == also:
            yield provider, term
        else:
            reader.problems.error(term.place, f'provider "{provider}" is not known; {nearest_names(provider, HOSTS)}')


def _margin(reader: Reader, item: Item) -> tuple[int, NanoUSD]:
    """A fraction, or ``percentage`` (a fraction too, by LiteLLM's word) and ``fixed_amount`` in dollars."""
    if not item.is_mapping:
        return _share(reader, item, MOST_MARGIN) or 0, 0
    parts = reader.mapping(item) or {}
    reader.check_names(parts, item.name, _MARGIN_NAMES, ())
    share = _share(reader, parts["percentage"], MOST_MARGIN) if "percentage" in parts else None
    fixed_nanousd = _dollars(reader, parts["fixed_amount"]) if "fixed_amount" in parts else None
    return share or 0, fixed_nanousd or 0


def _share(reader: Reader, item: Item, most: int = 1) -> int | None:
    text = reader.text(item)
    if text is None:
        return None
    try:
        share = parse_fraction(text.strip(), most) * BILLION
    except ValueError:
        share = None
    if share is None or share != int(share):
        reader.problems.error(
            item.place, f'{item.name} is "{text}", which is not a fraction from 0 to {most} of at most nine decimals'
        )
        return None
    return int(share)


def _dollars(reader: Reader, item: Item) -> NanoUSD | None:
    text = reader.text(item)
    if text is None:
        return None
    try:
        return parse_usd(parse_dollars(text.strip()))
    except ValueError:
        reader.problems.error(item.place, f'{item.name} is "{text}", which is not an amount from 0 to 1000 dollars')
        return None
