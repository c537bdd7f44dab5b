"""Litestar with no more plugins than the handlers here need, and what is given to them by name."""

from typing import Any

from litestar import Litestar
from litestar.di import Provide
from litestar.plugins import PluginProtocol
from litestar.plugins.core import MsgspecDIPlugin


class PlainLitestar(Litestar):
    """Litestar looks for pydantic and attrs and loads what it finds. Pydantic is there, as a command of another library
    wants it: 8 MB of each process, for nothing."""

    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        return [*plugins, MsgspecDIPlugin()]


class Given(Provide):
    """One thing for every call. Litestar compares what is given to a handler each with each, by all that it is: half a
    million comparisons at a start. Here each equals itself alone."""

    __slots__ = ()
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __init__(self, thing: Any) -> None:  # noqa: ANN401  each of its own type
        super().__init__(lambda: thing, sync_to_thread=False)
