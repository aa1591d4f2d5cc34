"""The operator's pages, put into a console."""

import time
from collections.abc import Callable

from counterfoil.console.app import Console
from counterfoil.console.operating.home import Home
from counterfoil.console.operating.now import Now
from counterfoil.console.operating.passcode import OnePasscode
from counterfoil.console.operating.refusals import Refusals
from counterfoil.console.operating.sampling import Sampling
from counterfoil.console.operating.shared import SharedAnswers
from counterfoil.console.operating.standing import Health, KeysAndCredentials


def furnish(console: Console, now_us: Callable[[], int], monotonic_s: Callable[[], float] = time.monotonic) -> None:
    """Adds them. `now_us` is the service's clock, which the journal's times are of."""
    sampling, shared = Sampling(monotonic_s), SharedAnswers(monotonic_s)
    console.begin_with(Home(sampling, shared, now_us).show)
    console.add(Now(sampling, monotonic_s, now_us).page())
    console.add(Refusals(shared, now_us).page())
    console.add(OnePasscode(shared, now_us).page())
    console.add(KeysAndCredentials(now_us).page())
    console.add(Health(shared, now_us).page())
