"""Plays a plan: processes over one store, callers, a network, and what operators and mishaps do to them."""

from collections import deque
from random import Random

from counterfoil.model import journal
from counterfoil.model.journal import Entry
from tests.adversity.simulation.history import Event, History, Recorded, Sweep, Told
from tests.adversity.simulation.network import Network
from tests.adversity.simulation.parts import RETENTION_US, Disk, Journal, SimulatedCredentials
from tests.adversity.simulation.plan import ISSUERS, Happening, Incident, Plan
from tests.adversity.simulation.process import Process
from tests.adversity.simulation.scheduler import Scheduler
from tests.adversity.simulation.variant import SOUND, Variant
from tests.support.clock import START_US

_STEP_US = 3600 * 1_000_000


def played(plan: Plan, variant: Variant = SOUND) -> History:
    """What happens when the plan is played."""
    return _World(plan, variant).history


def _recorded(entry: Entry) -> Recorded:
    # An issue is told of by the credential's id, which its counterfoil keeps; everything else by the name.
    caller = entry.by.removeprefix("id of ")
    return Recorded(entry.reason or _TOLD[entry.event], caller, entry.redemption_id or "")


_TOLD = {
    journal.Event.ISSUED: Told.ISSUED,
    journal.Event.ACCEPTED: Told.ACCEPTED,
    journal.Event.REPLAYED: Told.REPLAYED,
    journal.Event.REVOKED: Told.WITHDRAWN,
}


class _World:
    def __init__(self, plan: Plan, variant: Variant) -> None:
        self.history = History(RETENTION_US)
        self._plan = plan
        self._variant = variant
        self._scheduler = Scheduler()
        # Not the source that the plan was drawn from: a plan with a step left out is played with the same one.
        token_bytes = Random(~plan.seed).randbytes
        self._disk: Disk = {}
        self._backup: Disk = {}
        entries: Journal = deque()
        self._keys = variant.keys(token_bytes)
        self._credentials = SimulatedCredentials()
        self._processes = [
            Process(
                f"process {number}",
                skew_us,
                self._disk,
                entries,
                self._keys,
                self._credentials,
                token_bytes,
                variant,
                self._scheduler,
                self._happened,
            )
            for number, skew_us in enumerate(plan.skews_us)
        ]
        self._network = Network(plan.calls, self._processes, self._scheduler, self.history, self._happened)
        for incident in plan.incidents:
            self._scheduler.at(START_US + incident.at_us, self._befall, incident)
        self._scheduler.run()
        self.history.recorded.update(_recorded(entry) for _, entry in entries)

    def _happened(self, what: str, where: str) -> None:
        self.history.events.append(Event(self._scheduler.now_us, what, where))

    def _befall(self, incident: Incident) -> None:
        what, process = incident.what, self._processes[incident.number]
        where = process.name
        if what is Happening.SWEEP:
            where = self._sweep(process)
        elif what is Happening.CLOCK_FORWARD:
            process.offset_us += _STEP_US
        elif what is Happening.CLOCK_BACK:
            process.offset_us -= _STEP_US
        elif what is Happening.CRASH:
            where = process.name if process.up else ""
            process.crash()
        elif what is Happening.ROTATION:
            self._keys.rotate()
        elif what is Happening.RETIREMENT:
            where = self._retire()
        elif what is Happening.CREDENTIAL_REVOKED:
            where = self._revoke_credential(ISSUERS[incident.number % len(ISSUERS)])
        elif what is Happening.BACKUP:
            self._backup = dict(self._disk)
        else:
            self._restore()
        if where:
            self._happened(what, where)

    def _retire(self) -> str:
        """Which key was retired; nothing where there is but one."""
        key_id = self._keys.retire_oldest()
        if key_id is None:
            return ""
        self.history.retired_us[key_id] = self._scheduler.now_us
        return key_id.hex()

    def _revoke_credential(self, issuer: str) -> str:
        self._credentials.revoke_with_passcodes(issuer)
        self.history.issuer_revoked_us[issuer] = self._scheduler.now_us
        return issuer

    def _restore(self) -> None:
        """As `counterfoil restore` does it: nothing runs, the store is what it was, and every earlier key is retired."""
        for process in self._processes:
            process.stop()
        self._disk.clear()
        self._disk.update(self._backup)
        self._network.era += 1
        for key_id in self._keys.bump_epoch():
            self.history.retired_us[key_id] = self._scheduler.now_us

    def _sweep(self, process: Process) -> str:
        """The broom takes what was due so long ago as it lags behind. What it took; nothing where there was nothing."""
        clock_us = self._scheduler.now_us + process.offset_us
        self.history.sweeps.append(Sweep(self._scheduler.now_us, clock_us))
        swept_to_us = clock_us - self._plan.broom_lag_us
        over = [ref for ref, kept in self._disk.items() if self._variant.may_sweep(kept, swept_to_us)]
        for ref in over:
            del self._disk[ref]
        return f"{process.name}, {len(over)} counterfoils" if over else ""
