"""The cookies of the pages: what they are called, and that nothing but this host sets or reads them.

Over https they bear ``__Host-`` (RFC 6265bis 4.1.3.2): a browser takes such a one from this host alone, so that another
host of the same domain can plant neither a session of its own in somebody's browser nor a sign-in that it began.
"""

from typing import Any
from urllib.parse import urlsplit

from litestar import Request
from litestar.datastructures import Cookie

AnyRequest = Request[Any, Any, Any]
SESSION = "keyhouse_session"
VISIT = "keyhouse_visit"
"""Of who has not signed in: only that a form comes from the page that was shown to this browser."""
TICKET = "keyhouse_sso"
"""Of a sign-in that is under way at an identity provider."""
_PREFIX = "__Host-"


class Cookies:
    """``public_url`` is how people reach us: a browser that names its host is on https where that is."""

    def __init__(self, public_url: str | None) -> None:
        parts = urlsplit(public_url or "")
        self._secure_host = parts.netloc.lower() if parts.scheme == "https" else None

    def read(self, request: AnyRequest, name: str) -> str | None:
        """None where there is none, or an empty one."""
        return request.cookies.get(self._name(request, name)) or None

    def write(self, request: AnyRequest, name: str, value: str, max_age_s: int | None = None) -> Cookie:
        """Until the browser ends where no age is given; at its end there is none with 0."""
        secure = self._is_secure(request)
        path = "/" if secure else "/ui"  # which __Host- asks for
        return Cookie(
            self._name(request, name), value=value, path=path, max_age=max_age_s, httponly=True, samesite="lax",
            secure=secure,
        )  # fmt: skip

    def _name(self, request: AnyRequest, name: str) -> str:
        return _PREFIX + name if self._is_secure(request) else name

    def _is_secure(self, request: AnyRequest) -> bool:
        """Behind a proxy that is not trusted we are called over http, by the host that people see."""
        if request.url.scheme == "https":
            return True
        return self._secure_host is not None and request.headers.get("host", "").lower() == self._secure_host
