"""Calls of AWS: asked at most twice, each time anew, within one deadline. It knows no service's verbs.

The SDK blocks and would ask again by itself, with what was said the first time; but a time that was good then may not be
good now. So its own retries are off, every try is put together afresh on the thread that sends it, and none is sent after
the deadline, nor so shortly before it that it could outlive it: a function that is frozen after its answer (Lambda does
that) sends nothing late when it thaws.
The SDK is used without boto3's resource layer, which we do not need and which costs a third of a function's cold start.
"""

import asyncio
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from functools import cache
from typing import Any, TypeVar

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from counterfoil.aws_call_counts import AWS_CALLS, THROTTLING

R = TypeVar("R")

CONNECT_TIMEOUT_S = 1.0
READ_TIMEOUT_S = 1.5
# Two, and not more: the caller, who has a redemption id, can ask again.
TRIES = 2
# For one call with its second try.
DEADLINE_S = 6.0
_TRY_S = CONNECT_TIMEOUT_S + READ_TIMEOUT_S
_PAUSE_S = 0.05
_THROTTLED_PAUSE_S = 0.25
_THREADS = 32
WAITING_MAX_DEFAULT = 1024


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
        retries={"mode": "standard", "total_max_attempts": 1},
        max_pool_connections=_THREADS,
        tcp_keepalive=True,
    )
    return _session().create_client(service, endpoint_url=endpoint, config=config)


class _AnswerCutOff(HTTPClientError):  # type: ignore[misc]  # the SDK has no types
    fmt = "the answer was cut off"


def watched_client(client: Any) -> Any:
    """The client; from now on its calls are counted, and it raises a BotoCoreError for an answer that is not all there.

    The SDK takes a success whose body was cut off for an empty one: an item that is there would read as none, and a genuine
    passcode be refused. No JSON object that is cut off is JSON, so reading it tells, also where the cut took the length away.
    """
    AWS_CALLS.count(client)
    client.meta.events.register("before-parse", _check_whole, unique_id="counterfoil-whole-answers")
    return client


def _check_whole(response_dict: dict[str, Any], **_: Any) -> None:
    if response_dict["status_code"] >= 300:
        # An error stays the error that it is, whatever its body: a proxy's refusal is HTML.
        return
    try:
        json.loads(response_dict["body"])
    except ValueError:
        # Not chained: the decoder's error holds the text.
        raise _AnswerCutOff(error="not JSON") from None


request_deadline_s: ContextVar[float | None] = ContextVar("request_deadline_s", default=None)
"""When the request under way must have its answer, by the monotonic clock: all its calls share it. None for no such bound."""


class AwsCalls:
    """Runs blocking SDK calls for coroutines. Bounded: beyond `waiting_max` calls under way the next one is refused."""

    def __init__(self, *, waiting_max: int = WAITING_MAX_DEFAULT, deadline_s: float = DEADLINE_S, tries: int = TRIES) -> None:
        self.waiting_max = waiting_max
        self._deadline_s = deadline_s
        self._tries = tries
        self.under_way = 0
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="counterfoil-aws")

    async def run(self, call: Callable[[], R]) -> R:
        """The call's answer; it may be made twice. Raises AwsUnavailable; ClientError when the request itself is at fault."""
        if self.under_way >= self.waiting_max:
            raise AwsUnavailable("too many calls are waiting", throttled=True)
        self.under_way += 1
        try:
            deadline_s = time.monotonic() + self._deadline_s
            of_request_s = request_deadline_s.get()
            return await self._asked(call, deadline_s if of_request_s is None else min(deadline_s, of_request_s))
        finally:
            self.under_way -= 1

    async def _asked(self, call: Callable[[], R], deadline_s: float) -> R:
        left = self._tries
        while True:
            left -= 1
            try:
                return await self._answer(call, deadline_s)
            except AwsUnavailable as fault:
                pause_s = _THROTTLED_PAUSE_S if fault.throttled else _PAUSE_S
                if not left or time.monotonic() + pause_s >= deadline_s:
                    raise
            await asyncio.sleep(pause_s)

    async def _answer(self, call: Callable[[], R], deadline_s: float) -> R:
        def on_the_thread() -> R:
            # Sent only if it will have ended by the deadline: no try outlives the answer that its caller was given.
            if time.monotonic() + _TRY_S > deadline_s:
                raise AwsUnavailable("nothing was sent in time")
            return call()

        try:
            under_way = asyncio.get_running_loop().run_in_executor(self._threads, on_the_thread)
            return await asyncio.wait_for(under_way, deadline_s - time.monotonic())
        except TimeoutError as cause:
            raise AwsUnavailable("no answer in time") from cause
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in THROTTLING:
                raise AwsUnavailable(f"throttled: {code}", throttled=True) from error
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500) >= 500:
                raise AwsUnavailable(f"failed: {code}") from error
            raise
        except BotoCoreError as cause:
            raise AwsUnavailable(f"no answer: {type(cause).__name__}") from cause

    def close(self) -> None:
        """Waits for the calls under way, then lets the threads go."""
        self._threads.shutdown()


@cache
def _session() -> Any:
    return botocore.session.get_session()
