"""Which addresses channels may reach.

Whoever sets up a channel chooses where Bongsu sends requests to. At link-local addresses and at those of the metadata
services of clouds, machines get credentials of their own, and no service that receives notifications lives there. A
name is resolved once, and the connection is made to the address that was checked: the name cannot change in between.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable

from bongsu.alerts.channels.base import ChannelError
from bongsu.alerts.notes import Code, note

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

REFUSED = [
    ipaddress.ip_network(network)
    for network in (
        "169.254.0.0/16",  # link-local, RFC 3927; 169.254.169.254 is the metadata service of most clouds
        "fe80::/10",  # link-local, RFC 4291
        "fd00:ec2::254/128",  # AWS
        "fd20:ce::254/128",  # Google Cloud
        "100.100.100.200/32",  # Alibaba Cloud
        "168.63.129.16/32",  # Azure
        "192.0.0.192/32",  # Oracle Cloud
    )
]
# IPv4 addresses in IPv6 notation, RFC 6052.
NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Addresses:
    """Resolves host names. ``allowed``: addresses and networks that are not refused."""

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._allowed = [ipaddress.ip_network(text, strict=False) for text in allowed]

    async def resolve(self, host: str, port: int) -> list[str]:
        """The addresses of a host, the preferred one first.

        Raises:
            ChannelError: one of them is refused.
            OSError: the host is not known.
            UnicodeError: this is not the name of a host.
        """
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if any(self._refuses(_plain(address)) for address in addresses):
            raise ChannelError(note(Code.ADDRESS_REFUSED), retryable=False)
        return addresses

    async def connect(self, host: str, port: int) -> socket.socket:
        """A connection to the first address of a host that answers.

        Raises:
            ChannelError: one of its addresses is refused.
            OSError: the host is not known, or none of its addresses answers.
        """
        loop = asyncio.get_running_loop()
        problem: OSError = OSError("it has no address")
        for address in await self.resolve(host, port):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            connection = socket.socket(family, socket.SOCK_STREAM)
            connection.setblocking(False)
            try:
                await loop.sock_connect(connection, (address, port))
            except OSError as error:
                connection.close()
                problem = error
            except BaseException:
                connection.close()
                raise
            else:
                return connection
        raise problem

    def _refuses(self, address: Address) -> bool:
        refused = any(address in network for network in REFUSED)
        return refused and not any(address in network for network in self._allowed)


def _plain(text: str) -> Address:
    """The address; the IPv4 address of one that contains it."""
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address
