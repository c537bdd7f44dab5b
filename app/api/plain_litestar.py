"""Litestar with no more plugins than the handlers here need."""

from litestar import Litestar
from litestar.plugins import PluginProtocol
from litestar.plugins.core import MsgspecDIPlugin


class PlainLitestar(Litestar):
    """Litestar looks for pydantic and attrs and loads what it finds. Pydantic is there, as a command of another library
    wants it: 8 MB of each process, for nothing."""

    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        return [*plugins, MsgspecDIPlugin()]
