"""Host names to addresses, as this machine resolves them."""

import asyncio
import socket
from ipaddress import ip_address

_TIMEOUT_S = 2.0


class SystemResolver:
    """Implements `Resolver` by the rules of the system (hosts file, DNS); IPv4 comes first."""

    async def address_of(self, host: str) -> str | None:
        try:
            return str(ip_address(host))
        except ValueError:
            pass
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError, TimeoutError):
            return None
        addresses = sorted((family != socket.AF_INET, str(place[0])) for family, _, _, _, place in found)
        return addresses[0][1] if addresses else None
