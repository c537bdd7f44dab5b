"""How commands import what it takes to be a gateway: late, and without the garbage collector."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collector() -> Iterator[None]:
    """The collector would go through all that is loaded again and again: a sixth of the time of an import."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
