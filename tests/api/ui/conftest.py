"""See tests/api/ui/support.py."""

from tests.api.ui.support import street

__all__ = ["street"]
