"""Which addresses may be connected to: public ones, and those of networks that are allowed."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from rca.errors import SettingsError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# What ``is_global`` of some Python versions takes for public, and is not.
_SECRETIVE: tuple[Network, ...] = (
    # Azure's host answers there with secrets of its virtual machines:
    # https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
    ipaddress.ip_network("168.63.129.16/32"),
    ipaddress.ip_network("192.0.0.0/24"),  # RFC 6890; Oracle's metadata among them
    ipaddress.ip_network("64:ff9b:1::/48"),  # RFC 8215
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052


def read_networks(texts: Iterable[str], *, where: str) -> tuple[Network, ...]:
    """Networks such as 10.0.0.0/8 or fd00::/8.

    Raises:
        SettingsError: one is no network.
    """
    found = []
    for text in texts:
        try:
            found.append(ipaddress.ip_network(text.strip()))
        except ValueError as bad:
            raise SettingsError(
                f"{text[:60]!r} is no network", where=where, remedy="Write 10.0.0.0/8, or an address with /32"
            ) from bad
    return tuple(found)


def is_allowed(address: Address, allowed: Sequence[Network] = ()) -> bool:
    """Whether an address may be connected to: it is public, or within an allowed network.

    What an IPv6 address carries inside (mapped, NAT64, 6to4, Teredo) counts as well as itself.
    """
    inner = _inside(address)
    if inner is not None:
        return is_allowed(inner, allowed)
    if any(address.version == network.version and address in network for network in allowed):
        return True
    if any(address.version == network.version and address in network for network in _SECRETIVE):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _inside(address: Address) -> Address | None:
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64 or int(address) >> 32 == 0:  # the second: IPv4-compatible, which nobody uses any more
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None
