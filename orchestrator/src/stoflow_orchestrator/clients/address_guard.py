"""Which addresses a caller may make this service connect to."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

# RFC 6052: an IPv4 address in the last four bytes, reached through a translator.
_NAT64 = IPv6Network("64:ff9b::/96")
_IPV4_BITS = 32


class AddressRefusedError(Exception):
    """The name leads, or may lead, to an address that is not public and not allowed."""


class AddressGuard:
    """Resolves names once and gives nothing but addresses that may be connected to."""

    def __init__(self, allowed: Sequence[Network] = (), resolve: Resolve | None = None) -> None:
        """Takes the exceptions.

        Args:
            allowed: Networks that may be connected to although they are not public.
            resolve: Gives a name's addresses; by default the system's resolver.
        """
        self._allowed = tuple(allowed)
        self._resolve = resolve or resolve_by_system

    async def list_addresses(self, host: str, port: int) -> Sequence[str]:
        """Returns the addresses of a host, each safe to connect to; whoever asks again may get others.

        Raises:
            AddressRefusedError: Any of them is not allowed: a name of both kinds is made to deceive.
            OSError: There is no such name.
        """
        found = await self._resolve(host, port)
        for address in found:
            if not self.is_allowed(ip_address(address)):
                raise AddressRefusedError(host)
        return found

    def is_allowed(self, address: Address) -> bool:
        """Tells whether an address may be connected to."""
        inner = _embedded(address)
        if inner is not None:
            return self.is_allowed(inner)
        return is_public(address) or any(address in network for network in self._allowed)


def is_public(address: Address) -> bool:
    """Tells whether an address is of the public internet and means one host there."""
    if address.is_multicast or address.is_reserved or not address.is_global:
        return False
    return not (isinstance(address, IPv6Address) and (address.is_site_local or address.scope_id is not None))


def _embedded(address: Address) -> IPv4Address | None:
    """Returns the IPv4 address to which a packet to an IPv6 address may go in the end."""
    if isinstance(address, IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return IPv4Address(int(address) % 2**_IPV4_BITS)
    # 6to4: the packet goes to the IPv4 address in it.
    return address.sixtofour


async def resolve_by_system(host: str, port: int) -> Sequence[str]:
    """Asks the system's resolver, which also reads numbers such as 0x7f000001 or 127.1."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise socket.gaierror(socket.EAI_NONAME, "no such name can be") from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def parse_networks(text: str) -> tuple[Network, ...]:
    """Parses networks separated by commas, such as `127.0.0.0/8,fd00::/8`.

    Raises:
        ValueError: A part is no network.
    """
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
