"""Strict readings of a text: the same for the environment, the file and the command line. Each raises ValueError."""

import difflib
import ipaddress
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation

from app.base.money import NanoUSD, parse_usd

_TRUTH = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_LONGEST_NUMBER = 18
_LONGEST_TIME_S = 86_400
_MOST_DOLLARS = 1000
_NEAREST_NAMED = 3
_LEAST_LIKENESS = 0.7


def parse_integer(text: str, least: int) -> int:
    if not text.isascii() or not text.removeprefix("-").isdecimal() or len(text) > _LONGEST_NUMBER:
        raise ValueError(text)
    number = int(text)
    if number < least:
        raise ValueError(text)
    return number


def parse_boolean(text: str) -> bool:
    try:
        return _TRUTH[text.lower()]
    except KeyError as error:
        raise ValueError(text) from error


def parse_dollars(text: str) -> Decimal:
    """A price of one unit: from 0 to 1000 dollars, exactly as written."""
    dollars = _decimal(text)
    if not 0 <= dollars <= _MOST_DOLLARS:
        raise ValueError(text)
    return dollars


def parse_amount(text: str) -> NanoUSD:
    """Of money, as budgets have it: from 0 to 9 million dollars."""
    amount = parse_usd(_decimal(text))
    if amount < 0:
        raise ValueError(text)
    return amount


def parse_fraction(text: str, most: int = 1) -> Decimal:
    """From 0 to ``most``, both included."""
    fraction = _decimal(text)
    if not 0 <= fraction <= most:
        raise ValueError(text)
    return fraction


def parse_seconds(text: str) -> int:
    """More than 0 and at most a day, rounded up to whole seconds."""
    seconds = _decimal(text)
    if not 0 < seconds <= _LONGEST_TIME_S:
        raise ValueError(text)
    return int(seconds.to_integral_value("ROUND_CEILING"))


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_network(text: str) -> bool:
    """Whether it is an IP address, or a network in CIDR form without bits beyond its prefix; or ``*``, for all."""
    if text == "*":
        return True
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def nearest_names(name: str, names: Iterable[str], also: Iterable[str] = ()) -> str:
    """``did you mean "port"?``, of ``names`` and ``also``; or all ``names`` when none is near."""
    names = sorted(names)
    near = difflib.get_close_matches(name, sorted({*names, *also}), _NEAREST_NAMED, _LEAST_LIKENESS)
    if near:
        return "did you mean " + " or ".join(f'"{candidate}"' for candidate in near) + "?"
    return "known are: " + ", ".join(names)


def _decimal(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation as error:
        raise ValueError(text) from error
    if not number.is_finite():
        raise ValueError(text)
    return number
