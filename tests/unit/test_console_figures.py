"""What the operator's pages make of numbers: totals from text, figures from two looks, signs from refusals, words."""

from typing import Any

import pytest

from counterfoil.console.operating import spelled
from counterfoil.console.operating.exposition import Buckets, Totals, totals_of
from counterfoil.console.operating.figures import figures_between, quantile_s
from counterfoil.console.operating.reasons import WORDS, words
from counterfoil.console.operating.signs import FEW, MANY, TIMES, ordered, signs_of
from counterfoil.entrypoints.prometheus import PrometheusObserver
from counterfoil.model.verdict import Reason

MINUTE_US = 60_000_000
INF = float("inf")


def observed() -> PrometheusObserver:
    """A service that has issued two, accepted one, refused three, and met one of each of the rest."""
    observer = PrometheusObserver()
    for route, status in (
        ("/v1/passcodes", 201),
        ("/generateOtp", 200),
        ("/v1/passcodes", 400),
        ("/v1/passcodes", 429),
        ("/v1/passcodes/validate", 200),
        ("/v1/passcodes/validate", 409),
        ("/validateOtp", 409),
        ("/v1/passcodes/revoke", 409),
        ("/v1/passcodes/validate", 401),
        ("/v1/journal", 403),
        ("/v1/journal", 501),
        ("/readyz", 503),
        ("other", 500),
    ):
        observer.answered(route, status, 0.004)
    observer.refused(Reason.EXPIRED)
    return observer


async def exposition(observer: PrometheusObserver) -> str:
    told: Any = observer.exposition()
    # It takes time to look into a store.
    return (await told if hasattr(told, "__await__") else told)[1].decode()  # type: ignore[no-any-return]


# -- totals --


async def test_what_the_service_really_shows_is_read() -> None:
    totals = totals_of(await exposition(observed()))
    assert totals is not None
    counted = {name: getattr(totals, name) for name in ("issued", "accepted", "refused", "turned_away", "limited", "faults")}
    assert counted == {"issued": 2, "accepted": 1, "refused": 2, "turned_away": 2, "limited": 1, "faults": 2}
    assert totals.reasons["expired"] == 1
    assert set(totals.reasons) == set(Reason)
    assert totals.issue_took[0.0025] == 0
    assert totals.issue_took[0.005] == totals.issue_took[INF] == 4
    assert totals.validate_took[INF] == 4


def test_series_that_differ_in_another_label_are_added_up() -> None:
    lines = (
        'counterfoil_requests_total{process="1",route="/v1/passcodes",status="201"} 2.0',
        'counterfoil_requests_total{route="/v1/passcodes",status="201",process="2"} 3',
        'counterfoil_requests_created{route="/v1/passcodes",status="201"} 1e9',
        'another_requests_total{route="/v1/passcodes",status="201"} 7',
        "# a comment",
    )
    totals = totals_of("\n".join(lines))
    assert totals is not None
    assert totals.issued == 5


@pytest.mark.parametrize("text", ["", "# nothing\n", "process_cpu_seconds_total 1.0\n"])
def test_where_nothing_is_counted_there_are_no_totals(text: str) -> None:
    assert totals_of(text) is None


# -- figures --


def test_figures_are_of_what_happened_between() -> None:
    before = Totals(issued=10, accepted=5, refused=5, reasons={"expired": 5.0}, issue_took={0.001: 4.0, INF: 4.0})
    after = Totals(
        issued=30, accepted=14, refused=6, reasons={"expired": 6.0, "locked": 0.0}, issue_took={0.001: 4.0, INF: 8.0}
    )
    figures = figures_between(before, after, 2.0)
    assert figures is not None
    assert (figures.issued_per_s, figures.accepted_per_s, figures.refused_per_s) == (10.0, 4.5, 0.5)
    assert figures.accepted_share == 0.9
    assert figures.reasons_per_s == {"expired": 0.5}
    # All four took longer than the last bound, and that is what is said.
    assert figures.issue_p50_s == 0.001
    assert figures.validate_p50_s is None


def test_a_share_of_nothing_has_no_number() -> None:
    figures = figures_between(Totals(), Totals(issued=1), 1.0)
    assert figures is not None
    assert figures.accepted_share is None


@pytest.mark.parametrize("after", [Totals(issued=0), Totals(issued=1, reasons={"expired": 0.0})])
def test_what_was_counted_backwards_says_nothing(after: Totals) -> None:
    assert figures_between(Totals(issued=1, reasons={"expired": 1.0}), after, 1.0) is None


@pytest.mark.parametrize(
    ("share", "took", "expected"),
    [
        (0.5, {1.0: 10.0, 2.0: 10.0, INF: 10.0}, 0.5),
        (0.5, {1.0: 0.0, 2.0: 10.0, INF: 10.0}, 1.5),
        (0.99, {1.0: 99.0, 2.0: 100.0, INF: 100.0}, 1.0),
        (1.0, {1.0: 99.0, 2.0: 100.0, INF: 100.0}, 2.0),
        (0.99, {1.0: 0.0, INF: 1.0}, 1.0),
        (0.5, {1.0: 0.0, INF: 0.0}, None),
        (0.5, {}, None),
    ],
)
def test_quantiles_are_those_of_prometheus(share: float, took: Buckets, expected: float | None) -> None:
    assert quantile_s(share, took) == expected


# -- signs --


def told(counts: dict[str, list[int]], *, minutes: int | None = None, client_id: str = "shop-1") -> dict[str, Any]:
    """An answer of the API: what was refused in each of the last minutes, to one backend."""
    minutes = minutes or max(map(len, counts.values()), default=60)
    until = 1_000_000 * MINUTE_US
    groups = [
        {
            "client_id": client_id,
            "by": "backend",
            "reason": reason,
            "count": sum(numbers),
            "first_at": until - 1,
            "last_at": until,
        }
        for reason, numbers in counts.items()
    ]
    starts = [until - (minutes - at) * MINUTE_US for at in range(minutes)]
    bins = {"width_us": MINUTE_US, "starts": starts, "counts": counts}
    return {"since": starts[0], "until": until, "groups": groups, "left_off": 0, "bins": bins}


def level(reason: str, earlier: int, recent: int) -> str:
    """What is thought of so many within the last minute of an hour, and so many long before."""
    return signs_of(told({reason: [earlier, *[0] * 58, recent]}))[0].level


@pytest.mark.parametrize("reason", ["transaction_mismatch", "context_mismatch", "timestamp_mismatch", "locked"])
def test_one_altered_payment_wants_a_look_and_a_few_are_an_alarm(reason: str) -> None:
    assert level(reason, 1, 0) == level(reason, 0, 1) == level(reason, 0, FEW - 1) == "warning"
    assert level(reason, 0, FEW) == "problem"


@pytest.mark.parametrize("reason", ["already_redeemed", "unknown_passcode", "malformed_passcode"])
def test_copies_stand_out_when_they_come_more_often_than_before(reason: str) -> None:
    assert level(reason, 0, FEW - 1) == level(reason, 1000, 0) == "ok"
    assert level(reason, 0, FEW) == level(reason, 0, MANY - 1) == "warning"
    assert level(reason, 0, MANY) == "problem"
    # An hour has 4.45 times as much left as its recent part of eleven minutes.
    usual = MANY * 49 // 11
    assert level(reason, usual, TIMES * MANY) == "problem"
    assert level(reason, usual, TIMES * MANY - 3) == "ok"


@pytest.mark.parametrize("reason", ["expired", "revoked", "key_retired"])
def test_lateness_is_part_of_every_day_until_it_comes_in_numbers(reason: str) -> None:
    assert level(reason, 0, MANY - 1) == "ok"
    assert level(reason, 0, MANY) == "warning"
    assert level(reason, 1000, MANY) == "ok"


def test_calm_says_how_much_was_refused() -> None:
    (sign,) = signs_of(told({"expired": [0] * 59 + [3]}))
    assert (sign.level, sign.word, sign.says) == ("ok", "As usual", "3 were refused within the last hour.")
    assert signs_of(told({"expired": [0] * 59 + [1]}))[0].says == "One was refused within the last hour."
    assert signs_of(told({}))[0].says == "Nothing was refused within the last hour."


def test_the_worst_comes_first_and_says_who_it_is() -> None:
    signs = signs_of(told({"already_redeemed": [0] * 59 + [FEW], "transaction_mismatch": [0] * 59 + [7]}))
    assert [(sign.level, sign.word) for sign in signs] == [("problem", "Unusual"), ("warning", "Look")]
    assert signs[0].title == "`transaction_mismatch`: 7 within the last 11 minutes"
    assert "alters payments" in signs[0].says
    assert "All for client shop-1, asked by backend; since 1971-11-26 10:39:59 UTC." in signs[0].says
    assert "replay" in signs[1].says


def test_a_sign_says_how_many_of_all_are_of_the_one_who_has_most() -> None:
    answer = told({"locked": [0] * 59 + [9]})
    answer["groups"][0]["count"] = 6
    assert "6 of 9 for client shop-1" in signs_of(answer)[0].says


def test_an_old_forgery_is_told_of_the_whole_time() -> None:
    (sign,) = signs_of(told({"locked": [2] + [0] * 59}))
    assert sign.title == "`locked`: 2 within the last hour"


def test_a_client_that_is_in_no_group_takes_nothing_from_the_sign() -> None:
    answer = told({"locked": [0] * 59 + [1]})
    answer["groups"] = []
    assert signs_of(answer)[0].says == words("locked").many


def test_every_reason_that_there_is_has_words_and_a_place() -> None:
    assert set(WORDS) == {reason.value for reason in Reason}
    assert "does not know" in words("another").means
    assert ordered(["another", "expired", "transaction_mismatch"]) == ["transaction_mismatch", "expired", "another"]


# -- words --


@pytest.mark.parametrize(
    ("per_s", "expected"),
    [(None, "–"), (0.0, "0.0"), (0.01, "< 0.1"), (0.095, "0.1"), (12.34, "12.3"), (99.96, "100.0"), (1234.5, "1 234")],
)
def test_rates(per_s: float | None, expected: str) -> None:
    assert spelled.rate(per_s) == expected


@pytest.mark.parametrize(
    ("part", "expected"),
    [(None, "–"), (0.0, "0 %"), (1.0, "100 %"), (0.999999, "99.9 %"), (0.000001, "0.1 %"), (0.954, "95.4 %")],
)
def test_all_but_all_is_not_all(part: float | None, expected: str) -> None:
    assert spelled.share(part) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"), [(None, "–"), (0.00042, "0.42 ms"), (0.0123, "12 ms"), (0.9994, "999 ms"), (2.5, "2.5 s")]
)
def test_durations(seconds: float | None, expected: str) -> None:
    assert spelled.took(seconds) == expected


@pytest.mark.parametrize(
    ("passed_us", "expected"),
    [
        (0, "just now"),
        (-999_999, "just now"),
        (1_000_000, "1 second ago"),
        (59_999_999, "59 seconds ago"),
        (MINUTE_US, "1 minute ago"),
        (-2 * 86_400_000_000, "in 2 days"),
    ],
)
def test_how_long_ago(passed_us: int, expected: str) -> None:
    assert spelled.ago(10**16 - passed_us, 10**16) == expected


def test_moments_are_in_utc() -> None:
    assert spelled.moment(1_795_410_340_123_456) == "2026-11-23 05:05:40 UTC"
    assert spelled.exactly(1_795_410_340_123_456) == "2026-11-23 05:05:40.123456 UTC"
    assert spelled.machine(1_795_410_340_123_456) == "2026-11-23T05:05:40.123456Z"
    assert spelled.lasting(0.5) == "less than a second"
    assert [spelled.after(us, 0) for us in (1_203_400, -5, 3 * MINUTE_US)] == ["+1.203 s", "−0.000 s", "+3 minutes"]
