"""What decide and fallback may and may not do."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from controller.arm import Arm
from controller.context import Context, DeviceState, LinkState, Mode, Option
from controller.errors import NoArm
from controller.outcome import Execution, Outcome
from controller.settings import Learning
from four_arms import (
    MID,
    SETTINGS,
    SHARP,
    SIGNALS,
    SMALL,
    STRONG,
    UNSURE,
    answered,
    context,
    controller,
)


@st.composite
def contexts(draw: st.DrawFn) -> Context:
    number = st.none() | st.floats(0, 1)
    options = []
    for arm in draw(st.lists(st.sampled_from([SMALL, SHARP, MID, STRONG]), unique=True)):
        link = draw(
            st.builds(
                LinkState,
                rtt_ms=st.none() | st.floats(0, 5000),
                uplink_mbps=st.none() | st.floats(0.001, 1000),
                loss=number,
            )
        )
        options.append(
            Option(
                arm,
                payload_bytes=draw(st.integers(0, 5_000_000)),
                queue=draw(st.integers(0, 50)),
                link=link if arm.tier == "cloud" else None,
                memory_mb=draw(st.none() | st.floats(0, 8000)),
                blocked=draw(st.none() | st.just("it does not answer")),
            )
        )
    device = draw(
        st.builds(
            DeviceState,
            cpu_load=number,
            gpu_load=number,
            memory_available_mb=st.none() | st.floats(0, 8000),
            temp_c=st.none() | st.floats(-40, 120),
            battery_pct=st.none() | st.floats(0, 100),
            clock_ratio=number,
            throttled=st.none() | st.booleans(),
        )
    )
    return Context(
        SIGNALS,
        tuple(options),
        device,
        deadline_ms=draw(st.none() | st.floats(-10, 20_000)),
        pin=draw(st.sampled_from([None, "local", "cloud"])),
        mode=draw(st.sampled_from(["auto", "local", "cloud"])),
    )


def allowed(context: Context, option: Option) -> bool:
    """The guard's rules once more, as a user would read them."""
    device, tier = context.device, option.arm.tier
    if option.blocked or context.pin not in (None, tier):
        return False
    if tier == "cloud":
        return context.mode != "local"
    if context.mode == "cloud" and context.pin is None:
        return False
    hot = device.temp_c is not None and device.temp_c >= 85
    flat = device.battery_pct is not None and device.battery_pct <= 15
    memory = device.memory_available_mb
    full = bool(option.memory_mb) and memory is not None and memory - (option.memory_mb or 0) < 200
    return not (hot or flat or full)


@given(contexts(), st.integers(0, 5))
def test_decide_never_returns_a_blocked_arm_and_refuses_only_when_all_are(
    context: Context, seed: int
) -> None:
    bold = replace(SETTINGS, learning=Learning(probe_rate=0.5))
    able = {option.arm for option in context.options if allowed(context, option)}
    if not able or (context.deadline_ms is not None and context.deadline_ms <= 0):
        with pytest.raises(NoArm) as caught:
            controller(bold, seed).decide(context, now=0.0)
        assert all(option.arm.id in str(caught.value) for option in context.options)
        return
    decision = controller(bold, seed).decide(context, now=0.0)
    assert decision.arm in able
    assert decision.predictions[decision.arm.id].blocked is None
    assert 0 < decision.propensity <= 1
    assert set(decision.predictions) == {option.arm.id for option in context.options}
    for prediction in decision.predictions.values():
        assert np.isfinite([prediction.latency_ms, prediction.energy_j, prediction.score]).all()
        assert 0 <= prediction.quality <= 1
    json.dumps({name: vars(prediction) for name, prediction in decision.predictions.items()})


@given(contexts(), st.integers(0, 5))
def test_fallback_goes_through_every_arm_that_may_be_used_and_then_ends(context: Context, seed: int) -> None:
    tried: list[Arm] = []
    able = {option.arm for option in context.options if allowed(context, option)}
    assume(able)
    policy = controller(seed=seed)
    decision = policy.decide(replace(context, deadline_ms=None), now=0.0)
    following: object = decision
    while following is not None:
        tried.append(decision.arm)
        failed = Execution(decision.arm, None, failure="timeout")
        following = policy.fallback(decision, failed, now=0.0)
        decision = following or decision  # type: ignore[assignment]
    assert len(tried) == len(set(tried))
    assert set(tried) == able


def test_a_fallback_keeps_the_id_and_says_what_failed() -> None:
    policy = controller()
    decision = policy.decide(context(SMALL, STRONG, pin="cloud", mode="auto"), now=0.0)
    assert policy.fallback(decision, Execution(STRONG, None, failure="timeout"), now=0.0) is None
    decision = policy.decide(context(SMALL, STRONG), now=0.0)
    following = policy.fallback(decision, Execution(decision.arm, None, failure="timeout"), now=0.0)
    assert following is not None
    assert (following.id, following.arm) == (decision.id, SMALL if decision.arm == STRONG else STRONG)
    assert following.predictions[decision.arm.id].blocked == "it failed: timeout"


def test_after_a_failure_another_server_is_asked_before_another_model_of_the_same() -> None:
    """What failed may be the server: its other models would keep the question waiting for as long."""
    twin = Arm("cloud", "mid", 0, STRONG.server)
    made = controller()
    decision = made.decide(context(SMALL, twin, STRONG), now=0.0)
    left = made.fallback(decision, Execution(STRONG, None, failure="timeout"), now=3.0)
    assert left is not None
    assert left.arm == SMALL
    assert made.escalate(left, answered(SMALL, "2", UNSURE), now=4.0).action == "keep"
    last = made.fallback(left, Execution(SMALL, None, failure="timeout"), now=6.0)
    assert last is not None
    assert last.arm == twin


def test_without_any_server_it_says_so() -> None:
    with pytest.raises(NoArm, match="no model server") as caught:
        controller().decide(context(), now=0.0)
    assert caught.value.code == "no_arm"


@pytest.mark.parametrize(
    ("device", "why"),
    [
        (DeviceState(temp_c=91.0), "too hot: 91 C of 85 C"),
        (DeviceState(battery_pct=9.0), "battery is low: 9%"),
    ],
)
def test_a_strained_board_leaves_it_to_the_cloud_and_says_why(device: DeviceState, why: str) -> None:
    decision = controller().decide(context(SMALL, STRONG, device=device), now=0.0)
    assert decision.arm == STRONG
    assert why in decision.reason
    with pytest.raises(NoArm, match=why):
        controller().decide(context(SMALL, device=device), now=0.0)


@pytest.mark.parametrize(
    ("pin", "mode", "arm"),
    [
        ("local", "auto", SMALL),
        ("local", "local", SMALL),
        ("local", "cloud", SMALL),
        ("cloud", "auto", STRONG),
        ("cloud", "cloud", STRONG),
        (None, "local", SMALL),
        (None, "cloud", STRONG),
    ],
)
def test_pins_and_modes_are_obeyed(pin: str | None, mode: Mode, arm: Arm) -> None:
    policy = controller(replace(SETTINGS, learning=Learning(probe_rate=0.5)))
    for i in range(20):
        assert policy.decide(context(SMALL, STRONG, pin=pin, mode=mode), now=float(i)).arm == arm


def test_a_pin_to_the_cloud_does_not_overrule_the_local_mode() -> None:
    with pytest.raises(NoArm, match="the mode is local"):
        controller().decide(context(SMALL, STRONG, pin="cloud", mode="local"), now=0.0)


@pytest.mark.parametrize("what", [{"pin": "local"}, {"mode": "local"}])
def test_what_must_stay_on_the_board_is_neither_escalated_nor_audited(what: dict[str, object]) -> None:
    policy = controller(replace(SETTINGS, audit_budget=1.0))
    for i in range(50):
        decision = policy.decide(context(SMALL, STRONG, **what), now=float(i))
        found = policy.escalate(decision, answered(SMALL, confidence=UNSURE), now=float(i))
        assert (found.action, found.arm) == ("keep", None)
        policy.learn(decision, Outcome((answered(SMALL),), 0), now=float(i))


def test_a_deadline_blocks_what_would_miss_it() -> None:
    decision = controller().decide(context(SMALL, STRONG, deadline_ms=300.0), now=0.0)
    assert decision.arm == SMALL
    assert decision.predictions[STRONG.id].blocked == "it would miss the deadline"


def test_when_all_would_miss_the_deadline_the_fastest_is_tried() -> None:
    assert controller().decide(context(SMALL, SHARP, STRONG, deadline_ms=20.0), now=0.0).arm == SMALL
    with pytest.raises(NoArm, match="miss the deadline"):
        controller().decide(context(SMALL, STRONG, deadline_ms=0.0), now=0.0)


def test_no_time_left_keeps_the_answer() -> None:
    policy = controller(replace(SETTINGS, audit_budget=0.0))
    decision = policy.decide(context(SMALL, STRONG, deadline_ms=700.0), now=0.0)
    in_time = policy.escalate(decision, answered(SMALL, confidence=UNSURE), now=0.0)
    late = replace(answered(SMALL, confidence=UNSURE), latency_ms=600.0)
    assert (in_time.action, policy.escalate(decision, late, now=0.0).action) == ("escalate", "keep")


def test_time_spent_on_earlier_calls_leaves_none_for_an_escalation() -> None:
    policy = controller(replace(SETTINGS, audit_budget=0.0))
    decision = policy.decide(context(SMALL, STRONG, deadline_ms=4000.0), now=10.0)
    answer = answered(SMALL, confidence=UNSURE)
    assert policy.escalate(decision, answer, now=10.1).action == "escalate"
    assert policy.escalate(decision, answer, now=13.9).action == "keep"
