"""The replicas behind an address of Triton: one, those of a name, or those of a list."""

from __future__ import annotations

import asyncio
import socket

from kiosk.errors import MODEL_SERVER_AWAY, Outage, PermanentError

DNS = "dns:"
LISTS = ("ipv4:", "ipv6:")


async def replicas_at(address: str) -> list[str]:
    """HOST:PORT of every replica, in order.

    Args:
        address: as gRPC has it: `HOST:PORT` is one replica, `dns:///NAME:PORT` as many as the name
            has addresses (a headless service has one for each pod that is ready), and
            `ipv4:HOST:PORT,HOST:PORT` those that are listed.

    Raises:
        Outage: the name has no address at present.
        PermanentError: it is no such address.
    """
    for scheme in LISTS:
        if address.startswith(scheme):
            return sorted(set(address.removeprefix(scheme).split(",")))
    if not address.startswith(DNS):
        return [address]
    # An authority (dns://SERVER/NAME) would be a DNS server of one's own; none is wanted.
    host, _, port = address.removeprefix(DNS).rpartition("/")[2].rpartition(":")
    if not host or not port.isdigit():
        raise PermanentError(
            f"'{address}' is no address of Triton. Write HOST:PORT, or dns:///NAME:PORT for all"
            " replicas behind a name (KIOSK_TRITON__ADDRESS)."
        )
    return await _looked_up(host, int(port))


async def _looked_up(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Outage(
            "The model server (Triton) has no replica at present.", reason=MODEL_SERVER_AWAY
        ) from error
    hosts = {str(item[4][0]) for item in found}
    return sorted(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host in hosts)
