"""The true address of a client: X-Forwarded-For and X-Forwarded-Proto are believed only from trusted proxies."""

import ipaddress
from collections.abc import Iterable

from starlette.types import Scope

from bongsu.core.errors import ConfigError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse_networks(texts: Iterable[str]) -> list[Network]:
    """Raises ConfigError."""
    networks = []
    for text in texts:
        try:
            networks.append(ipaddress.ip_network(text.strip(), strict=False))
        except ValueError:
            raise ConfigError(
                f"trusted_proxies: {text!r} is neither an address nor a network such as 10.0.0.0/8.",
                field="trusted_proxies",
            ) from None
    return networks


class Forwarded:
    """Puts the client's true address and scheme into the scope."""

    def __init__(self, trusted: Iterable[str]) -> None:
        self._networks = parse_networks(trusted)

    def apply(self, scope: Scope) -> bool:
        """Changes ``client`` and ``scheme`` if the peer is a trusted proxy. Returns whether it is."""
        client = scope.get("client")
        if not self._networks or not client or not self.trusts(client[0]):
            return False
        hops: list[str] = []
        scheme = ""
        for name, value in scope["headers"]:
            if name == b"x-forwarded-for":
                hops += [hop.strip() for hop in value.decode("latin-1").split(",")]
            elif name == b"x-forwarded-proto":
                scheme = value.decode("latin-1").split(",")[-1].strip().lower()
        # From the right: each proxy appends the address it saw, and anybody can make up what is further left.
        for hop in reversed(hops):
            address = _plain(hop)
            if address is None:
                break
            scope["client"] = (address, 0)
            if not self.trusts(address):
                break
        if scheme in ("http", "https"):
            secure = {"http": "https", "ws": "wss", "https": "https", "wss": "wss"}
            scope["scheme"] = secure[scope["scheme"]] if scheme == "https" else scope["scheme"]
        return True

    def trusts(self, address: str) -> bool:
        """Whether this is the address of a trusted proxy."""
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)


def _plain(hop: str) -> str | None:
    """The address of ``203.0.113.9``, ``203.0.113.9:1234``, ``[2001:db8::1]`` or ``2001:db8::1``."""
    if hop.startswith("["):
        hop = hop[1:].partition("]")[0]
    elif hop.count(":") == 1:
        hop = hop.partition(":")[0]
    try:
        return str(ipaddress.ip_address(hop))
    except ValueError:
        return None
