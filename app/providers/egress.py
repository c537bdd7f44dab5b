"""Where calls may go whose address was set at run time: to public addresses, and to what the operator allows."""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host. Raises OSError."""

_NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
_COMPATIBLE = ipaddress.IPv6Network("::/96")
_NEVER_PUBLIC = (".localhost", ".local", ".internal", ".localdomain")
"""Ends of names that no public server has: ``metadata.google.internal`` among them."""


class NotReachable(Exception):
    """An address that may not be reached; the message names it and the next step."""


class Egress:
    """``allowed`` are hosts and networks in CIDR form; a host by its name is reached wherever it lies."""

    def __init__(self, allowed: Sequence[str] = (), resolve: Resolve | None = None) -> None:
        self._resolve = resolve or _resolve
        self._hosts: set[str] = set()
        self._networks: list[Network] = []
        for entry in allowed:
            try:
                self._networks.append(ipaddress.ip_network(entry))
            except ValueError:
                self._hosts.add(_plain(entry))

    async def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of ``host``, each of which may be reached: connect to these, and to no other look-up.

        Raises NotReachable when any of them may not, OSError when the name is not known.
        """
        self.check_name(host)
        found = await self._resolve(host, port)
        for address in found:
            if not self._allows_name(host) and not self._may_be_reached(
                ipaddress.ip_address(address.partition("%")[0])
            ):
                raise _refused(host, f"it is at {address}, which is no public address")
        return list(found)

    def check_name(self, host: str) -> None:
        """What the name alone tells, without looking it up. Raises NotReachable."""
        if self._allows_name(host):
            return
        plain = _plain(host)
        if f".{plain}".endswith(_NEVER_PUBLIC):
            raise _refused(host, "it is a name of this machine or of a private network")
        address = _literal(plain)
        if address is not None and not self._may_be_reached(address):
            raise _refused(host, f"{address} is no public address")

    def _allows_name(self, host: str) -> bool:
        return _plain(host) in self._hosts

    def _may_be_reached(self, address: Address) -> bool:
        inner = _embedded(address)
        if any(address in network or (inner is not None and inner in network) for network in self._networks):
            return True
        judged = address if inner is None else inner
        return judged.is_global and not judged.is_multicast and not judged.is_reserved


async def _resolve(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _plain(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()


def _literal(host: str) -> Address | None:
    """An address written as one, in any form that a resolver takes: ``127.1``, ``2130706433``, ``0x7f.0.0.1``."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except (OSError, UnicodeError):
        return None


def _embedded(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 one leads to: mapped, 6to4, Teredo, NAT64, or the old compatible form."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if any(address in network for network in _NAT64) or (address in _COMPATIBLE and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return None


def _refused(host: str, why: str) -> NotReachable:
    return NotReachable(
        f'the host "{host}" may not be called from here: {why}; '
        "the operator can allow it with KEYHOUSE_ALLOWED_UPSTREAMS (a host, or a network such as 10.0.0.0/8)"
    )
