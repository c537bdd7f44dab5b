"""Which addresses codes and tokens may go to. Apart, because the settings ask it and fetch nothing."""

import ipaddress
from urllib.parse import urlsplit


def is_safe_address(url: str) -> bool:
    """https, or http to this machine: codes and tokens go there."""
    try:
        parts = urlsplit(url)
        if parts.username is not None or parts.port == 0 or not url.isprintable() or "#" in url:
            return False
    except ValueError:
        return False
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and _is_here(parts.hostname)))


def _is_here(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False
