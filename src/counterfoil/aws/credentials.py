"""Who asks AWS: credentials from the environment, looked up for every request, or else from wherever the SDK finds them.

A function's are in its environment, and so are most containers'. Roles of containers and instances, profiles and single
sign-on are the SDK's to know (botocore, the extra `aws`), which is imported only where it has to look.
Names of the variables: "Environment variables support" in the AWS SDKs and Tools Reference Guide.
"""

import importlib.util
import os
import re
from collections.abc import Callable, Mapping
from functools import cache
from threading import Lock
from typing import Any, TypeAlias

from counterfoil.model.discreet import Discreet
from counterfoil.model.invalid import Invalid

ACCESS_KEY_ID, SECRET_ACCESS_KEY, SESSION_TOKEN = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"
# What stands in a header as it is; the line's end that a file leaves behind would end the header.
_FIT = re.compile(r"[!-~]+")


class NoCredentials(Exception):
    """There are none now, and nothing was sent."""


class Credentials(Discreet, frozen=True, gc=False):
    """What a request is signed with."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None


CredentialSource: TypeAlias = Callable[[], Credentials]
"""Gives those that are good now. It may block while a role's are renewed, and raises NoCredentials."""


def current_credentials(environment: Mapping[str, str] = os.environ) -> Credentials:
    """Those of the environment as it is now; without any there, those that the SDK finds."""
    access_key_id = environment.get(ACCESS_KEY_ID)
    if not access_key_id:
        return _found_by_the_sdk()
    given = Credentials(access_key_id, environment.get(SECRET_ACCESS_KEY, ""), environment.get(SESSION_TOKEN) or None)
    for name, value in ((ACCESS_KEY_ID, access_key_id), (SECRET_ACCESS_KEY, given.secret_access_key)):
        if not _FIT.fullmatch(value):
            raise NoCredentials(f"{name} is missing, or has characters that no key has")
    if given.session_token is not None and not _FIT.fullmatch(given.session_token):
        raise NoCredentials(f"{SESSION_TOKEN} has characters that no token has")
    return given


def check_there_is_a_source(environment: Mapping[str, str] = os.environ) -> None:
    """Raises Invalid where there is none and nothing that could look for some: said at the start, not at the first request."""
    if not environment.get(ACCESS_KEY_ID) and importlib.util.find_spec("botocore") is None:
        raise Invalid(
            ACCESS_KEY_ID,
            "must be set, with its secret, or the extra `aws` be installed, which looks for credentials elsewhere",
        )


# One look at a time: a busy start would else ask the machine's credential service by all of its threads.
_one_look = Lock()


def _found_by_the_sdk() -> Credentials:
    try:
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:
        raise NoCredentials("none in the environment, and the extra `aws` is not installed") from None
    try:
        with _one_look:
            # Kept by the session once they are found, and renewed by themselves in time.
            found = _session().get_credentials()
        kept = None if found is None else found.get_frozen_credentials()
    except (BotoCoreError, ClientError) as error:
        # Not chained: it may quote what a program printed that was to give credentials.
        raise NoCredentials(f"the SDK found none: {type(error).__name__}") from None
    if kept is None or not kept.access_key or not kept.secret_key:
        raise NoCredentials("none in the environment, and the SDK found none elsewhere")
    return Credentials(kept.access_key, kept.secret_key, kept.token)


@cache
def _session() -> Any:
    import botocore.session

    return botocore.session.get_session()
