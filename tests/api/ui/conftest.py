"""See tests/api/ui/support.py and identity_door.py."""

from tests.api.ui.identity_door import open_door, provider, running
from tests.api.ui.support import street

__all__ = ["open_door", "provider", "running", "street"]
