"""A benchmark's arithmetic: medians, ratios within a round, percentiles that were seen, goals, and what is no figure."""

import json

import pytest
from bench.figures import GOALS, Goal, decoded, encoded, figure, single
from bench.flame import by_room
from bench.medians import percentile, ratios, spread
from bench.open_loop import filled
from bench.service import CLIENT, ID, SECRET, Call, bearer_calls
from bench.wrk import Unfit, parsed

REPORT = """Running 3s test @ http://127.0.0.1:40000
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.72ms  520.11us  11.45ms   90.28%
    Req/Sec    23.61k     1.15k   25.03k    86.67%
  Latency Distribution
     50%    2.60ms
     75%    2.81ms
     90%    3.12ms
     99%  950.00us
  70461 requests in 3.00s, 22.31MB read
Requests/sec:  23470.12
Transfer/sec:      7.43MB
"""


def test_a_report_is_read_in_its_units() -> None:
    report = parsed(REPORT)
    found = (report.requests, report.seconds, report.rate, report.p50_ms, report.p99_ms)
    assert found == pytest.approx((70461, 3.0, 23470.12, 2.6, 0.95))
    assert report.wrong == 0


def test_a_percentile_with_a_space_behind_it_is_read() -> None:
    assert parsed(REPORT.replace("99%  950.00us", "99%    1.54s ")).p99_ms == 1540


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("  Non-2xx or 3xx responses: 12\n", 12),
        ("  Socket errors: connect 1, read 2, write 3, timeout 4\n", 10),
        ("  Socket errors: connect 0, read 0, write 0, timeout 1\n  Non-2xx or 3xx responses: 1\n", 2),
    ],
)
def test_refusals_and_broken_connections_are_counted(line: str, wrong: int) -> None:
    assert parsed(REPORT.replace("Requests/sec", line + "Requests/sec")).wrong == wrong


@pytest.mark.parametrize("text", ["", "unable to connect to 127.0.0.1:1 Connection refused", REPORT.replace("99%", "98%")])
def test_a_report_that_cannot_be_read_is_no_figure(text: str) -> None:
    with pytest.raises(Unfit):
        parsed(text)


def test_a_ratio_is_taken_within_each_round() -> None:
    # The ratio of the medians would be 20 / 50.
    found = ratios([10, 20, 30], [100, 50, 20])
    assert (found.median, found.low, found.high, found.rounds) == (0.4, 0.1, 1.5, 3)
    with pytest.raises(ValueError, match="shorter"):
        ratios([1.0, 2.0], [1.0])


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.99, 99), (0.999, 100), (1.0, 100), (0.001, 1)])
def test_a_percentile_is_a_value_that_was_seen(share: float, expected: int) -> None:
    assert percentile(list(range(100, 0, -1)), share) == expected


@pytest.mark.parametrize(
    ("goal", "met", "missed"), [(Goal(at_least=0.45), 0.45, 0.449), (Goal(at_most=5.0), 5.0, 5.001), (Goal(at_most=96), 87, 97)]
)
def test_a_goal_is_met_at_its_bound(goal: Goal, met: float, missed: float) -> None:
    assert goal.is_met(met)
    assert not goal.is_met(missed)


def test_figures_come_back_from_the_twin_with_their_goals() -> None:
    figures = [figure("durable issue / bare ASGI echo", "×", spread([0.5, 0.4]), "issue / echo"), single("one", "ms", 1.0)]
    back = decoded(json.loads(json.dumps(encoded(figures))))
    assert back == figures
    assert [each.goal for each in back] == [GOALS["issue / echo"], None]


def test_a_template_announces_the_length_of_what_will_be_put_in() -> None:
    issue, redeem = bearer_calls("cfi_x", "cfv_x", "/issue", "/redeem", "code")
    for call, secret in ((issue, ""), (redeem, "s" * 87)):
        [request] = [next(filled(call.template(87).encode(), [f"c0001 {secret}".encode()]))]
        head, _, body = request.partition(b"\r\n\r\n")
        assert f"Content-Length: {len(body)}".encode() in head
        assert json.loads(body)["client_id"] == "c0001"
        assert b"@" not in request


def test_every_request_has_an_id_of_its_own() -> None:
    template = Call("POST", "/", {"Idempotency-Key": ID}, f"{CLIENT} {SECRET}").template(3).encode()
    requests = filled(template, [b"c0001 abc"] * 3)
    first, second, third = (next(requests) for _ in range(3))
    assert len({first, second, third}) == 3


def test_a_room_has_the_time_of_its_innermost_frames_and_waiting_is_not_work() -> None:
    folded = "\n".join(
        [
            "main (a.py:1);handle (counterfoil/api/app.py:4) 6",
            "main (a.py:1);handle (counterfoil/api/app.py:4);send (uvicorn/protocols/http/httptools_impl.py:9) 3",
            "__init__ (<string>:3) 1",
            "GroupCommit._work (counterfoil/stores/group_commit.py:183) 90",
        ]
    )
    assert by_room(folded) == {"counterfoil/api": 0.6, "uvicorn": 0.3, "constructors of dataclasses": 0.1}
