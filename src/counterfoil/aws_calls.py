"""Calls of AWS: SDK clients with every retry and timeout said, run on threads under one deadline. It knows no service's verbs.

The SDK blocks, and its defaults move (retry mode and attempts have changed between its versions), so nothing is left to them.
It is used without boto3's resource layer, which we do not need and which costs a third of a function's cold start.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

R = TypeVar("R")

CONNECT_TIMEOUT_S = 1.0
READ_TIMEOUT_S = 1.5
# Two: a throttled third one would wait up to 2.7 s, and the caller, who has a redemption id, can ask again.
TRIES = 2
# Below API Gateway's 29 s and the functions' 10 s: the caller hears our 503, never the gateway's.
DEADLINE_S = 6.0
_THREADS = 32
WAITING_MAX_DEFAULT = 1024

_THROTTLING = frozenset(
    {
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottledException",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)


class AwsUnavailable(Exception):
    """No usable answer: whether the call had its effect is not known. `throttled` when AWS asked for patience."""

    def __init__(self, message: str, *, throttled: bool = False) -> None:
        super().__init__(message)
        self.throttled = throttled


@cache
def aws_client(service: str, region: str | None, endpoint: str | None) -> Any:
    """An SDK client, the same for the same arguments: making one costs a function's cold start a tenth of a second.

    `endpoint` is for emulators and VPC endpoints; credentials come from where the SDK looks for them.
    """
    config = Config(
        region_name=region,
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        retries={"mode": "standard", "total_max_attempts": TRIES},
        max_pool_connections=_THREADS,
        tcp_keepalive=True,
    )
    return _session().create_client(service, endpoint_url=endpoint, config=config)


class AwsCalls:
    """Runs blocking SDK calls for coroutines. Bounded: beyond `waiting_max` calls under way the next one is refused."""

    def __init__(self, *, waiting_max: int = WAITING_MAX_DEFAULT, deadline_s: float = DEADLINE_S) -> None:
        self._waiting_max = waiting_max
        self._deadline_s = deadline_s
        self._under_way = 0
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="counterfoil-aws")

    async def run(self, call: Callable[..., R], /, **arguments: Any) -> R:
        """The call's answer. Raises AwsUnavailable; ClientError only for answers that say something of the request."""
        if self._under_way >= self._waiting_max:
            raise AwsUnavailable("too many calls are waiting", throttled=True)
        self._under_way += 1
        try:
            under_way = asyncio.get_running_loop().run_in_executor(self._threads, lambda: call(**arguments))
            return await asyncio.wait_for(under_way, self._deadline_s)
        except TimeoutError as cause:
            raise AwsUnavailable("no answer in time") from cause
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in _THROTTLING:
                raise AwsUnavailable(f"throttled: {code}", throttled=True) from error
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500) >= 500:
                raise AwsUnavailable(f"failed: {code}") from error
            raise
        except BotoCoreError as cause:
            raise AwsUnavailable(f"no answer: {type(cause).__name__}") from cause
        finally:
            self._under_way -= 1

    def close(self) -> None:
        """Waits for the calls under way, then lets the threads go."""
        self._threads.shutdown()


@cache
def _session() -> Any:
    return botocore.session.get_session()
