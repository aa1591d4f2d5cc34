"""The order of judgement, rule by rule: where two rules apply, the earlier one speaks."""

from typing import Any

import pytest
from msgspec.structs import replace

from counterfoil.core.judgement import ClockDisagrees, CountMismatch, Presentation, Redeem, judge
from counterfoil.model.counterfoil import Redemption, State
from counterfoil.model.verdict import Accepted, Reason, Refused
from tests.contract.claims import LIFETIME_US, MINE, made
from tests.support.clock import START_US

OTHER = Redemption("other", "backend")
FITS = Presentation(MINE, None)
MISFITS = Presentation(MINE, Reason.CONTEXT_MISMATCH)
EXPIRY_US = START_US + LIFETIME_US


def _redeemed(redemption: Redemption = MINE) -> Any:
    return replace(made(), state=State.REDEEMED, redemption=redemption, redeemed_at_us=START_US + 5)


@pytest.mark.parametrize("now_us", [START_US, EXPIRY_US - 1, EXPIRY_US, EXPIRY_US + 3_600_000_000])
def test_an_acceptance_is_told_again_also_after_expiry(now_us: int) -> None:
    expected = Accepted("1234", START_US, EXPIRY_US, START_US + 5, "mine", replayed=True)
    assert judge(_redeemed(), FITS, now_us) == expected


@pytest.mark.parametrize(
    ("redemption", "presented"),
    [
        (OTHER, FITS),
        (Redemption("mine", "another backend"), FITS),
        (MINE, MISFITS),
    ],
)
def test_a_redeemed_passcode_is_already_redeemed_for_everybody_else(redemption: Redemption, presented: Presentation) -> None:
    assert judge(_redeemed(redemption), presented, START_US) == Refused(Reason.ALREADY_REDEEMED)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (State.REDEEMED, Reason.ALREADY_REDEEMED),
        (State.REVOKED, Reason.REVOKED),
        (State.LOCKED, Reason.LOCKED),
    ],
)
@pytest.mark.parametrize("presented", [FITS, MISFITS])
@pytest.mark.parametrize("now_us", [START_US, EXPIRY_US])
def test_a_final_state_speaks_before_expiry_and_misfit(
    state: State, reason: Reason, presented: Presentation, now_us: int
) -> None:
    found = replace(made(), state=state, redemption=OTHER if state is State.REDEEMED else None)
    assert judge(found, presented, now_us) == Refused(reason)


@pytest.mark.parametrize("presented", [FITS, MISFITS])
@pytest.mark.parametrize("now_us", [START_US, EXPIRY_US])
def test_a_revoked_issuers_passcode_is_revoked_before_it_is_expired(presented: Presentation, now_us: int) -> None:
    assert judge(made(), replace(presented, issuer_passcodes_revoked=True), now_us) == Refused(Reason.REVOKED)


def test_a_redeemed_passcode_stays_redeemed_when_its_issuer_is_revoked() -> None:
    assert isinstance(judge(_redeemed(), replace(FITS, issuer_passcodes_revoked=True), START_US), Accepted)
    by_another = judge(_redeemed(OTHER), replace(FITS, issuer_passcodes_revoked=True), START_US)
    assert by_another == Refused(Reason.ALREADY_REDEEMED)


@pytest.mark.parametrize("presented", [FITS, MISFITS])
def test_it_is_expired_from_expiry_on_and_not_a_microsecond_earlier(presented: Presentation) -> None:
    assert not isinstance(judge(made(), presented, EXPIRY_US - 1), Refused)
    assert judge(made(), presented, EXPIRY_US) == Refused(Reason.EXPIRED)
    assert judge(made(), presented, EXPIRY_US + 1) == Refused(Reason.EXPIRED)


@pytest.mark.parametrize("presented", [FITS, MISFITS])
def test_a_stamp_up_to_five_seconds_ahead_is_fine_and_a_microsecond_more_is_a_fault(presented: Presentation) -> None:
    assert not isinstance(judge(made(), presented, START_US - 5_000_000), Refused)
    with pytest.raises(ClockDisagrees):
        judge(made(), presented, START_US - 5_000_001)


@pytest.mark.parametrize("reason", [Reason.CONTEXT_MISMATCH, Reason.TRANSACTION_MISMATCH, Reason.TIMESTAMP_MISMATCH])
def test_a_misfit_costs_an_attempt(reason: Reason) -> None:
    assert judge(made(), Presentation(MINE, reason), START_US) == CountMismatch(reason)


def test_what_fits_goes_to_the_store_which_decides() -> None:
    assert judge(made(), FITS, START_US) == Redeem()
