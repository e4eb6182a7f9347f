"""Network addresses as keys to count by."""

import ipaddress


def rate_key(address: str) -> str:
    """The key to count rates, failures and connections by. IPv6 addresses count by /64 network, since one customer has
    2^64 addresses; an IPv4 address in IPv6 notation counts as the IPv4 address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
