"""AWS Signature Version 4 of a POST to `/`, which is all that these services take. It keeps no key and reads no clock.

Source: "Create a signed AWS API request" in the IAM User Guide; held against AWS's own test suite and against the SDK's signer.
"""

import hmac
from collections.abc import Mapping
from hashlib import sha256
from time import gmtime, strftime

from counterfoil.aws.credentials import Credentials

_ALGORITHM = "AWS4-HMAC-SHA256"
_ENDS = "aws4_request"


def signed(
    headers: Mapping[str, str], body: bytes, credentials: Credentials, *, region: str, service: str, at_s: float
) -> dict[str, str]:
    """These headers, whose names are in lower case, and those that sign every one of them and the body. Good for minutes."""
    moment = strftime("%Y%m%dT%H%M%SZ", gmtime(at_s))
    covered = {**headers, "x-amz-date": moment}
    if credentials.session_token is not None:
        covered["x-amz-security-token"] = credentials.session_token
    names = ";".join(sorted(covered))
    lines = (f"{name}:{' '.join(covered[name].split())}" for name in sorted(covered))
    canonical = "\n".join(("POST", "/", "", *lines, "", names, sha256(body).hexdigest()))
    scope = f"{moment[:8]}/{region}/{service}/{_ENDS}"
    signable = "\n".join((_ALGORITHM, moment, scope, sha256(canonical.encode()).hexdigest()))
    key = f"AWS4{credentials.secret_access_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, signable.encode(), "sha256").hex()
    credential = f"{credentials.access_key_id}/{scope}"
    return {**covered, "authorization": f"{_ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"}
