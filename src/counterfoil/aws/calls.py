"""Calls of AWS: asked at most twice, each time anew, within one deadline. It knows no service's verbs.

A call blocks a thread. Every try is put together afresh on the thread that sends it, since a time that was good in the first
may not be good in the second; and none is sent after the deadline, nor so shortly before it that it could outlive it: a
function that is frozen after its answer (Lambda does that) sends nothing late when it thaws.
"""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import TypeVar

from counterfoil.aws.call_counts import outcome_of_refusal
from counterfoil.aws.client import ANSWER_S, CONNECT_S, AwsClient
from counterfoil.aws.connection import NoAnswer
from counterfoil.aws.credentials import NoCredentials
from counterfoil.aws.json_protocol import Question, Refusal

R = TypeVar("R")

# Two, and not more: the caller, who has a redemption id, can ask again.
TRIES = 2
# For one call with its second try.
DEADLINE_S = 6.0
_TRY_S = CONNECT_S + ANSWER_S
_PAUSE_S = 0.05
_THROTTLED_PAUSE_S = 0.25
_THREADS = 32
WAITING_MAX_DEFAULT = 1024


class AwsUnavailable(Exception):
    """No usable answer: whether the call had its effect is not known. `throttled` when AWS asked for patience."""

    def __init__(self, message: str, *, throttled: bool = False) -> None:
        super().__init__(message)
        self.throttled = throttled


request_deadline_s: ContextVar[float | None] = ContextVar("request_deadline_s", default=None)
"""When the request under way must have its answer, by the monotonic clock: all its calls share it. None for no such bound."""


class AwsCalls:
    """Asks one client for coroutines. Bounded: beyond `waiting_max` calls under way the next one is refused."""

    def __init__(
        self,
        client: AwsClient,
        *,
        waiting_max: int = WAITING_MAX_DEFAULT,
        deadline_s: float = DEADLINE_S,
        tries: int = TRIES,
    ) -> None:
        self.waiting_max = waiting_max
        self._client = client
        self._deadline_s = deadline_s
        self._tries = tries
        self.under_way = 0
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="counterfoil-aws")

    async def ask(self, question: Question[R]) -> R:
        """The answer; it may be asked twice. Raises AwsUnavailable; Refusal when the question itself is at fault."""
        if self.under_way >= self.waiting_max:
            raise AwsUnavailable("too many calls are waiting", throttled=True)
        self.under_way += 1
        try:
            deadline_s = time.monotonic() + self._deadline_s
            of_request_s = request_deadline_s.get()
            return await self._asked(question, deadline_s if of_request_s is None else min(deadline_s, of_request_s))
        finally:
            self.under_way -= 1

    async def _asked(self, question: Question[R], deadline_s: float) -> R:
        left = self._tries
        while True:
            left -= 1
            try:
                return await self._answer(question, deadline_s)
            except AwsUnavailable as fault:
                pause_s = _THROTTLED_PAUSE_S if fault.throttled else _PAUSE_S
                if not left or time.monotonic() + pause_s >= deadline_s:
                    raise
            await asyncio.sleep(pause_s)

    async def _answer(self, question: Question[R], deadline_s: float) -> R:
        def on_the_thread() -> R:
            # First, since a role's may have to be renewed, and nothing bounds that.
            credentials = self._client.credentials()
            # Sent only if it will have ended by the deadline: no try outlives the answer that its caller was given.
            if time.monotonic() + _TRY_S > deadline_s:
                raise AwsUnavailable("nothing was sent in time")
            return self._client.ask(question, credentials, send_by_s=deadline_s - ANSWER_S)

        try:
            under_way = asyncio.get_running_loop().run_in_executor(self._threads, on_the_thread)
            return await asyncio.wait_for(under_way, deadline_s - time.monotonic())
        except TimeoutError as cause:
            raise AwsUnavailable("no answer in time") from cause
        except Refusal as refusal:
            outcome = outcome_of_refusal(refusal.status, refusal.code)
            if outcome in ("throttled", "failed"):
                raise AwsUnavailable(f"{outcome}: {refusal.code}", throttled=outcome == "throttled") from refusal
            raise
        except NoCredentials as cause:
            raise AwsUnavailable(f"no credentials: {cause}") from cause
        except NoAnswer as cause:
            raise AwsUnavailable(f"no answer: {cause}") from cause

    def close(self) -> None:
        """Waits for the calls under way, then lets the threads go."""
        self._threads.shutdown()
