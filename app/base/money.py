"""Integer nano-dollars: the only form in which the house holds money.

One nano-dollar is 10⁻⁹ USD. Prices are nano-dollars per million units, because $0.0025 per million
tokens is 2.5 nano-dollars a token, which is no integer. Postgres ``bigint`` holds 9.2 billion dollars;
Redis scripts compare as doubles, exact to 9.0 million dollars in one counter.
"""

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

NanoUSD = int

NANO_PER_USD = 1_000_000_000
MILLION = 1_000_000
LARGEST_AMOUNT: NanoUSD = 9_000_000 * NANO_PER_USD


def parse_usd(text: str | int | Decimal) -> NanoUSD:
    """Dollars as written (``"0.003150"``, ``12``, ``3e-06``) to nano-dollars, half up beyond the ninth decimal.

    Raises ValueError for anything that is not a finite number, and for amounts beyond 9 million dollars.
    """
    try:
        dollars = text if isinstance(text, Decimal) else Decimal(text)
    except InvalidOperation as error:
        raise ValueError(f"not an amount in dollars: {text!r}") from error
    if not dollars.is_finite():
        raise ValueError(f"not a finite amount in dollars: {text!r}")
    if abs(dollars) * NANO_PER_USD > LARGEST_AMOUNT:
        raise ValueError(f"an amount of more than 9000000 dollars: {text!r}")
    return int((dollars * NANO_PER_USD).to_integral_value(ROUND_HALF_UP))


def price_per_million(dollars_per_unit: str | int | Decimal) -> NanoUSD:
    """A price as LiteLLM and the price lists write it (dollars per token, ``3e-06``) to nano-dollars per million."""
    try:
        dollars = dollars_per_unit if isinstance(dollars_per_unit, Decimal) else Decimal(dollars_per_unit)
    except InvalidOperation as error:
        raise ValueError(f"not a price in dollars: {dollars_per_unit!r}") from error
    if not dollars.is_finite() or dollars < 0:
        raise ValueError(f"not a price in dollars: {dollars_per_unit!r}")
    return int((dollars * NANO_PER_USD * MILLION).to_integral_value(ROUND_HALF_UP))


def format_usd(amount: NanoUSD) -> str:
    """Nano-dollars as exact dollars with six to nine decimals: ``3150000`` is ``"0.003150"``."""
    sign = "-" if amount < 0 else ""
    whole, fraction = divmod(abs(amount), NANO_PER_USD)
    decimals = f"{fraction:09d}"
    kept = decimals[:6] + decimals[6:].rstrip("0")
    return f"{sign}{whole}.{kept}"


def round_per_million(product: int, millions: int = 1) -> NanoUSD:
    """Σ count × price per so many ``millions``, divided by them and rounded half up; product is never negative."""
    units = MILLION * millions
    return (product + units // 2) // units
