"""Whether a server may listen where its settings say."""

from __future__ import annotations

import ipaddress

from kiosk.errors import PermanentError
from kiosk.settings import Settings


def check_exposure(settings: Settings) -> None:
    """Raises PermanentError where strangers could reach a server that asks nobody who they are."""
    host, auth = settings.listen.host, settings.auth
    if auth.required or auth.insecure or is_loopback(host):
        return
    raise PermanentError(
        f"On {host} others than you can reach the kiosk, and it would ask nobody who they are. Set"
        " KIOSK_AUTH__REQUIRED=true and make keys with `kiosk keys create`; or say --insecure if"
        " everybody who reaches this address may see, change and delete everything.",
        reason="INSECURE",
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address. A name other than localhost may change."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
