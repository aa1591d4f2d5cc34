"""One service process: the real api room over simulated parts, with a clock of its own, that runs, stops and starts again."""

from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

from counterfoil.api.app import Api
from counterfoil.api.callers import by_bearer_credential
from counterfoil.api.http import Request, Response
from counterfoil.api.observing import SilentObserver
from counterfoil.api.routes import passcode_routes
from counterfoil.ports.ambient import TokenBytes
from counterfoil.ports.credentials import CredentialsUnavailable
from counterfoil.ports.keys import KeysUnavailable
from counterfoil.ports.store import StoreUnavailable
from counterfoil.settings import Settings
from counterfoil.wiring import assembled_handlers
from tests.adversity.simulation.history import Operation
from tests.adversity.simulation.parts import (
    RETENTION_US,
    Disk,
    Journal,
    SimulatedCredentials,
    SimulatedKeys,
    SimulatedStore,
    kept_on,
)
from tests.adversity.simulation.plan import CRASHES_AT, FAILS_AT, Delivery, Fault, Site
from tests.adversity.simulation.scheduler import Scheduler
from tests.adversity.simulation.variant import Variant

_SETTINGS = Settings(
    data=Path("simulated"),
    service_context='{"stage": "simulated"}',
    issue_rate_per_s=0.0,
    outstanding_max=0,
    retention_s=RETENTION_US // 1_000_000,
).checked()
_DOWN_US = 300_000
_OBSERVER = SilentObserver()
Answered: TypeAlias = Callable[["Execution", Response], None]
Happened: TypeAlias = Callable[[str, str], None]


class Execution:
    """One request on its way through the api room."""

    __slots__ = ("answered", "arrived_clock_us", "coroutine", "delivery", "fault", "operation", "site")

    def __init__(
        self, operation: Operation, delivery: Delivery, coroutine: Coroutine[Site, None, Response], answered: Answered
    ) -> None:
        self.operation = operation
        self.delivery = delivery
        self.coroutine = coroutine
        self.answered = answered
        self.fault = delivery.fault
        self.site: Site | None = None
        self.arrived_clock_us = 0


class Process:
    """One process of the service."""

    def __init__(
        self,
        name: str,
        skew_us: int,
        disk: Disk,
        journal: Journal,
        keys: SimulatedKeys,
        credentials: SimulatedCredentials,
        token_bytes: TokenBytes,
        variant: Variant,
        scheduler: Scheduler,
        happened: Happened,
    ) -> None:
        self.name = name
        self.offset_us = skew_us
        self.up = True
        self.running: Execution | None = None
        self._executions: list[Execution] = []
        self._disk = disk
        self._journal = journal
        self._parts = (keys, credentials, token_bytes)
        self._variant = variant
        self._scheduler = scheduler
        self._happened = happened
        self._boot()

    def now_us(self) -> int:
        """What this process's clock says; noted for the operation that asked."""
        reading_us = self._scheduler.now_us + self.offset_us
        if self.running is not None:
            operation = self.running.operation
            if reading_us < operation.earliest_us:
                operation.earliest_us = reading_us
            if reading_us > operation.latest_us:
                operation.latest_us = reading_us
        return reading_us

    def begin(self, request: Request, operation: Operation, delivery: Delivery, answered: Answered) -> None:
        """Takes a request in and runs it to its first pause."""
        execution = Execution(operation, delivery, self._api.handle(request), answered)
        execution.arrived_clock_us = self._scheduler.now_us + self.offset_us
        self._executions.append(execution)
        self._run(execution)

    def crash(self) -> None:
        """Ends the process, and whatever runs in it, where it stands."""
        if self.up:
            self._variant.on_crash(self._kept)
            self.stop()

    def stop(self) -> None:
        """Ends the process; it starts again a moment later."""
        if not self.up:
            return
        self.up = False
        for execution in self._executions:
            execution.coroutine.close()
        self._executions = []
        self._scheduler.after(_DOWN_US, self._boot)

    def _boot(self) -> None:
        """Puts a service together as `server_wiring.assembled` does, without the routes that concern no passcode."""
        keys, credentials, token_bytes = self._parts
        self._kept = kept_on(self._disk, self._journal, self._variant.store, self.now_us)
        handlers = assembled_handlers(
            store=SimulatedStore(self._kept, self.now_us, lambda what: self._happened(what, self.name)),
            keys=keys,
            credentials=credentials,
            settings=_SETTINGS,
            own_keys=None,
            issues_own_keys=False,
            now_us=self.now_us,
            token_bytes=token_bytes,
            observer=_OBSERVER,
        )
        sound = handlers.validation
        if self._variant.validation is not type(sound):
            rules = self._variant.validation(sound.store, keys, credentials, sound.now_us, sound.service_context)
            handlers = replace(handlers, validation=rules)
        routes = passcode_routes(handlers, with_seed_routes=False)
        self._api = Api(routes, by_bearer_credential(credentials), _OBSERVER)
        self.up = True

    def _run(self, execution: Execution) -> None:
        """Runs an execution until it waits, is answered, or dies."""
        pace_us = execution.delivery.pace_us
        go_on: Callable[[], Site] = partial(execution.coroutine.send, None)
        step = go_on
        self.running = execution
        try:
            while True:
                if execution.site is Site.BEFORE_WRITE:
                    execution.operation.decided_us = self._scheduler.now_us + self.offset_us
                site = execution.site = step()
                step = go_on
                fault = execution.fault
                if fault is not None and CRASHES_AT.get(fault) is site:
                    self._happened(fault, self.name)
                    self.crash()
                    return
                if fault is not None and FAILS_AT.get(fault) is site:
                    step = self._failing(execution, fault, site)
                elif pace_us[site]:
                    self._scheduler.after(pace_us[site], self._resume, execution)
                    return
        except StopIteration as done:
            self._executions.remove(execution)
            execution.answered(execution, done.value)
        finally:
            self.running = None

    def _resume(self, execution: Execution) -> None:
        if execution in self._executions:
            self._run(execution)

    def _failing(self, execution: Execution, fault: Fault, site: Site) -> Callable[[], Site]:
        """The next step of an execution whose part fails where it stands: its effect, if it had one, stays."""
        execution.fault = None
        execution.operation.touched = True
        self._happened(fault, self.name)
        return partial(execution.coroutine.throw, _FAULT_OF.get(site, StoreUnavailable)("simulated"))


_FAULT_OF: dict[Site, type[Exception]] = {Site.CREDENTIALS: CredentialsUnavailable, Site.KEYS: KeysUnavailable}
"""What a port raises there; everywhere else it is the store that fails."""
