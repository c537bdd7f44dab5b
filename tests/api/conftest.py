"""See tests/api/support.py."""

from tests.api.support import admin_door

__all__ = ["admin_door"]
