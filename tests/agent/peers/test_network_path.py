"""The estimate of a path follows the path, and neither outliers nor the server's own time."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.peers.network_path import MIN_PROBE_BYTES, PathEstimator, Paths, is_late
from vlm.client import Ping

PROBE_BYTES = 100_000


def ping(rtt_ms: float, server_ms: float | None = 0.0) -> Ping:
    return Ping(rtt_ms, server_ms, 0)


def upload(rtt_ms: float, mbps: float) -> Ping:
    return Ping(rtt_ms + PROBE_BYTES * 8 / (mbps * 1e3), 0.0, PROBE_BYTES)


def steady(rtt_ms: float, mbps: float, probes: int = 20) -> PathEstimator:
    link = PathEstimator()
    for _ in range(probes):
        link.observe_ping(ping(rtt_ms))
        link.observe_ping(upload(rtt_ms, mbps))
    return link


def test_a_new_path_has_no_estimates() -> None:
    state = PathEstimator().state()
    assert (state.rtt_ms, state.jitter_ms, state.uplink_mbps) == (None, None, None)


def test_the_estimates_of_a_steady_path_are_exact() -> None:
    state = steady(20, 10).state()
    assert state.rtt_ms == pytest.approx(20)
    assert state.uplink_mbps == pytest.approx(10)
    assert state.loss == 0


@pytest.mark.parametrize("probes", [5, 20, 200])
@pytest.mark.parametrize("after_ms", [5, 60, 200, 1000])
def test_a_changed_round_trip_is_accepted_within_two_probes(after_ms: float, probes: int) -> None:
    link = steady(20, 10, probes)
    for _ in range(2):
        link.observe_ping(ping(after_ms))
    assert link.state().rtt_ms == pytest.approx(after_ms, rel=0.1)


@pytest.mark.parametrize("after_mbps", [0.5, 2, 50])
def test_a_changed_rate_is_accepted_within_two_probes(after_mbps: float) -> None:
    link = steady(20, 10)
    for _ in range(2):
        link.observe_ping(upload(20, after_mbps))
    assert link.state().uplink_mbps == pytest.approx(after_mbps, rel=0.1)


def test_a_single_outlier_is_not_accepted() -> None:
    link = steady(20, 10)
    link.observe_ping(ping(500))
    for _ in range(3):
        link.observe_ping(ping(20))
    rtt_ms = link.state().rtt_ms
    assert rtt_ms is not None
    assert rtt_ms < 80


def test_the_estimate_is_unsure_after_one_sample_that_is_far_off() -> None:
    link = steady(20, 10)
    assert not link.unsure
    link.observe_ping(ping(200))
    assert link.unsure
    link.observe_ping(ping(200))
    assert not link.unsure


def test_a_round_trip_with_a_retransmission_counts_as_a_loss_and_not_as_delay() -> None:
    link = steady(20, 10)
    link.observe_ping(ping(20 + 230))
    link.observe_ping(ping(20))
    state = link.state()
    assert state.rtt_ms == pytest.approx(20)
    assert state.loss == pytest.approx(1 / 32, rel=0.1)


def test_a_slow_path_and_a_slow_server_are_distinguished() -> None:
    def measure(link: PathEstimator, rtt_ms: float, server_ms: float) -> str | None:
        for _ in range(20):
            link.observe_ping(ping(rtt_ms))
            link.observe_transfer(PROBE_BYTES, rtt_ms + PROBE_BYTES * 8 / 1e4, server_ms)
        return link.slow

    assert measure(PathEstimator(), 20, 50) is None
    for rtt_ms, server_ms, slow in ((20, 200, "peer"), (90, 50, "link"), (90, 200, "both")):
        link = PathEstimator()
        measure(link, 20, 50)
        assert measure(link, rtt_ms, server_ms) == slow


def test_without_probes_real_requests_measure_the_round_trip_too() -> None:
    link = PathEstimator(probed=False)
    for _ in range(10):
        link.observe_transfer(3_000, 42.0)
        link.observe_transfer(PROBE_BYTES, 42.0 + PROBE_BYTES * 8 / 4e3)
    state = link.state()
    assert state.rtt_ms == pytest.approx(42)
    assert state.uplink_mbps == pytest.approx(4, rel=0.05)


def test_a_request_that_takes_far_longer_than_the_estimate_is_late() -> None:
    state = steady(20, 10).state()
    sending_ms = PROBE_BYTES * 8 / 1e4
    assert not is_late(20 + sending_ms, state, PROBE_BYTES)
    assert is_late(2.5 * (20 + sending_ms), state, PROBE_BYTES)
    assert not is_late(1e6, PathEstimator().state(), PROBE_BYTES), "there is no estimate"


def test_an_alternating_path_is_estimated_by_its_mean_and_jitter() -> None:
    link = PathEstimator()
    for _ in range(100):
        link.observe_ping(ping(20))
        link.observe_ping(ping(60))
    state = link.state()
    assert state.rtt_ms == pytest.approx(40, abs=10)
    assert state.jitter_ms == pytest.approx(20, abs=10)


def test_a_slow_server_does_not_change_the_estimate_of_the_path() -> None:
    fast, slow = steady(20, 10), steady(20, 10)
    for _ in range(5):
        fast.observe_ping(ping(20, server_ms=0))
        slow.observe_ping(ping(520, server_ms=500))
        fast.observe_ping(Ping(100, 0, PROBE_BYTES))
        slow.observe_ping(Ping(600, 500, PROBE_BYTES))
    assert slow.state() == fast.state()


def test_a_real_request_measures_the_rate_too() -> None:
    link = PathEstimator()
    link.observe_ping(ping(20))
    link.observe_transfer(PROBE_BYTES, 20 + PROBE_BYTES * 8 / 4e3)
    assert link.state().uplink_mbps == pytest.approx(4)


def test_the_rate_is_limited_if_a_transfer_is_faster_than_a_round_trip() -> None:
    link = steady(20, 10)
    for _ in range(4):
        link.observe_transfer(PROBE_BYTES, 19.0)
    uplink_mbps = link.state().uplink_mbps
    assert uplink_mbps is not None
    assert uplink_mbps <= PROBE_BYTES * 8e-3 / 1.9


def test_a_transfer_that_cannot_measure_the_rate_is_ignored() -> None:
    link = PathEstimator()
    link.observe_transfer(PROBE_BYTES, 100)  # the round trip is not known yet
    link.observe_ping(ping(20))
    link.observe_transfer(MIN_PROBE_BYTES - 1, 100)
    assert link.state().uplink_mbps is None


def test_loss_rises_with_missing_answers_and_falls_with_answers() -> None:
    link = steady(20, 10)
    for _ in range(30):
        link.observe_loss()
    without_answers = link.state().loss
    for _ in range(30):
        link.observe_ping(ping(20))
    with_answers = link.state().loss
    assert without_answers is not None
    assert with_answers is not None
    assert with_answers < 0.5 < without_answers <= 1


a_time = st.floats(min_value=0, max_value=1e6)
an_event = st.one_of(
    st.none(),
    st.builds(Ping, rtt_ms=a_time, server_ms=st.none() | a_time, sent_bytes=st.integers(0, 8 * 2**20)),
    st.tuples(st.integers(0, 2**25), a_time),
)


@given(st.lists(an_event, max_size=60))
def test_estimates_are_plausible_after_any_observations(
    events: list[Ping | tuple[int, float] | None],
) -> None:
    link = PathEstimator()
    for event in events:
        if event is None:
            link.observe_loss()
        elif isinstance(event, Ping):
            link.observe_ping(event)
        else:
            link.observe_transfer(*event)
        state = link.state()
        assert state.loss is not None
        assert 0 <= state.loss <= 1
        for minimum, value in ((0.0, state.rtt_ms), (0.0, state.jitter_ms), (1e-9, state.uplink_mbps)):
            assert value is None or (math.isfinite(value) and value >= minimum)


def test_each_path_has_its_own_estimate_until_it_is_forgotten() -> None:
    links = Paths()
    links.observe("a", ping(20))
    assert links.to("a").state().rtt_ms == 20
    assert links.to("b").state().rtt_ms is None
    links.forget("a")
    links.forget("unknown")
    assert links.to("a").state().rtt_ms is None
