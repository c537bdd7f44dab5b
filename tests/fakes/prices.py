"""The bundled prices, compiled once for all tests of a process: it takes a child of a second's work."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from app.providers.price_table import PRICES_FILE, PriceTable, load_table


@cache
def compiled_prices() -> bytes:
    """The file that each home keeps."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / PRICES_FILE
        load_table(path)
        return path.read_bytes()


@cache
def bundled_prices() -> PriceTable:
    return msgspec.json.decode(compiled_prices(), type=PriceTable)
