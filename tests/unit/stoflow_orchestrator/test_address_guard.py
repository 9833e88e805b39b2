"""Which addresses pictures may be fetched from."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import ip_address

import pytest

from stoflow_orchestrator.clients.address_guard import (
    AddressGuard,
    AddressRefusedError,
    is_public,
    parse_networks,
    resolve_by_system,
)

PUBLIC = ["93.184.215.14", "1.1.1.1", "2606:4700:4700::1111", "64:ff9b::5db8:d70e", "::ffff:1.1.1.1"]
FORBIDDEN = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "fe80::1",
    "fe80::1%1",
    "fc00::1",
    "fd00:ec2::254",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
]


def fixed(*addresses: str) -> AddressGuard:
    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return addresses

    return AddressGuard(resolve=resolve)


@pytest.mark.parametrize("address", PUBLIC)
async def test_public_addresses_are_given(address: str) -> None:
    """What is of the public internet may be connected to."""
    assert await fixed(address).list_addresses("x", 80) == (address,)


@pytest.mark.parametrize("address", FORBIDDEN)
async def test_other_addresses_are_refused(address: str) -> None:
    """Loopback, private, link-local, shared, reserved and multicast addresses are refused, in every disguise."""
    with pytest.raises(AddressRefusedError):
        await fixed(address).list_addresses("x", 80)


async def test_name_of_both_kinds_is_refused() -> None:
    """One forbidden address among a name's public ones refuses the name."""
    with pytest.raises(AddressRefusedError):
        await fixed("1.1.1.1", "10.0.0.1").list_addresses("x", 80)


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1", "0177.0.0.1", "localhost"])
async def test_disguised_loopback_is_refused(host: str) -> None:
    """Whatever the system's resolver understands as loopback is judged by what it resolves to."""
    with pytest.raises((AddressRefusedError, OSError)):
        await AddressGuard().list_addresses(host, 80)


async def test_numbers_are_resolved_without_a_server() -> None:
    """An address given as such is its own answer."""
    assert await resolve_by_system("127.0.0.1", 80) == ["127.0.0.1"]


def test_allowed_networks_are_exceptions() -> None:
    """An operator's networks are let through, also inside another form of address, and nothing beside them."""
    guard = AddressGuard(parse_networks("127.0.0.0/30, fd00::/8"))
    for address in ("127.0.0.1", "::ffff:127.0.0.1", "fd00::1", "1.1.1.1"):
        assert guard.is_allowed(ip_address(address))
    for address in ("127.0.0.4", "10.0.0.1", "fc00::1"):
        assert not guard.is_allowed(ip_address(address))


def test_no_network_is_allowed_by_default() -> None:
    """An empty setting makes no exception, and a malformed one is an error."""
    assert parse_networks("") == parse_networks(" , ") == ()
    for text in ("127.0.0.1/8", "localhost", "10.0.0.0/33"):
        with pytest.raises(ValueError, match=r".+"):
            parse_networks(text)


def test_public_is_what_routers_call_public() -> None:
    """The first and last addresses around private networks are public."""
    for address in ("9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0", "169.253.255.255"):
        assert is_public(ip_address(address))


async def test_loop_is_free_while_a_name_is_resolved() -> None:
    """The system's resolver is asked in a thread."""
    resolving = asyncio.ensure_future(resolve_by_system("127.0.0.1", 80))
    await asyncio.sleep(0)
    assert not resolving.done()
    await resolving
