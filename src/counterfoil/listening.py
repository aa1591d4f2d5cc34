"""Where a service may listen: nowhere that passcodes would travel in clear. It opens no socket."""

import ipaddress

from counterfoil.model.invalid import Invalid
from counterfoil.settings import Settings


def refuse_clear_text(settings: Settings) -> None:
    """Raises Invalid for an address beyond this machine without TLS, here or (explicitly) upstream."""
    if settings.tls_cert or settings.tls_terminated_upstream or _is_loopback(settings.host):
        return
    raise Invalid(
        "host",
        "is not a loopback address: give --tls-cert and --tls-key, or say --tls-terminated-upstream when a proxy"
        " in front speaks TLS",
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
