"""As what a network address is counted, where attempts are counted by where they come from."""

import ipaddress

_NETWORK_BITS = 64


def place_of(address: str) -> str:
    """Of IPv6 its network, as whoever has one has all of its addresses; what is no address stays as it is."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, _NETWORK_BITS), strict=False))
