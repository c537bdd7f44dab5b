"""What of Litestar is loaded."""

from litestar import Litestar
from litestar.plugins.core import MsgspecDIPlugin

from app.api.plain_litestar import PlainLitestar


def test_no_plugin_is_loaded_that_no_handler_needs() -> None:
    assert [type(plugin) for plugin in PlainLitestar._get_default_plugins([])] == [MsgspecDIPlugin]
    assert "_get_default_plugins" in vars(Litestar), "Litestar chooses its plugins elsewhere now"
