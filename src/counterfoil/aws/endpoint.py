"""Where a service of AWS is: a URL where one is named, otherwise its public name in the Region.

Sources: "Service-specific endpoints" and "AWS Region" in the AWS SDKs and Tools Reference Guide; the partitions' suffixes are
those of the SDK's partitions.json, which a test compares.
"""

import os
import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from counterfoil.model.invalid import Invalid

_REGION = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_HOST = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*\.?|[0-9a-f:.]+")
# By what the Region's name begins with; the others are in the partition `aws`, and those of `aws-us-gov` have its suffix.
_SUFFIXES = {
    "cn-": "amazonaws.com.cn",
    "eusc-": "amazonaws.eu",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "us-isof-": "csp.hci.ic.gov",
    "eu-isoe-": "cloud.adc-e.uk",
}
_SUFFIX = "amazonaws.com"
# Names of other hosts, which are not known here: to take the usual ones instead would be to do what was not asked.
_ASKS_FOR_OTHERS = ("AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT")


class Endpoint(NamedTuple):
    """A host and how to speak to it."""

    host: str
    port: int
    is_tls: bool

    @property
    def authority(self) -> str:
        """As the header `Host` has it: without a port that goes without saying."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_tls else 80) else f"{host}:{self.port}"


def region_named(region: str | None, environment: Mapping[str, str] = os.environ) -> str:
    """The Region that a URL names, or else the environment. Raises Invalid."""
    found = region or environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or ""
    if not _REGION.fullmatch(found):
        raise Invalid("AWS_REGION", "must name a Region where the URL does not")
    return found


def endpoint_of(service: str, region: str, url: str | None, environment: Mapping[str, str] = os.environ) -> Endpoint:
    """The URL's endpoint, or that of `AWS_ENDPOINT_URL_…`, of `AWS_ENDPOINT_URL`, or the service's own. Raises Invalid."""
    if url is not None:
        return _parsed("endpoint", url)
    if not _is_true(environment, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"):
        for name in (f"AWS_ENDPOINT_URL_{service.upper()}", "AWS_ENDPOINT_URL"):
            if named := environment.get(name):
                return _parsed(name, named)
    for name in _ASKS_FOR_OTHERS:
        if _is_true(environment, name):
            raise Invalid(name, f"is not heeded: name such an endpoint in AWS_ENDPOINT_URL_{service.upper()}")
    suffix = next((suffix for start, suffix in _SUFFIXES.items() if region.startswith(start)), _SUFFIX)
    return Endpoint(f"{service}.{region}.{suffix}", 443, is_tls=True)


def _is_true(environment: Mapping[str, str], name: str) -> bool:
    return environment.get(name, "").lower() == "true"


def _parsed(field: str, url: str) -> Endpoint:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if (
        not _HOST.fullmatch(host)
        or parts.scheme not in ("http", "https")
        or parts.username is not None
        or parts.path not in ("", "/")
        or parts.query
        or parts.fragment
    ):
        raise Invalid(field, "must be https:// (or http://, for an emulator), a host and perhaps a port, and nothing else")
    is_tls = parts.scheme == "https"
    return Endpoint(host, port or (443 if is_tls else 80), is_tls)
