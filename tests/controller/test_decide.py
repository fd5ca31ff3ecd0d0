"""What decide, escalate and fallback may and may not do."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from controller.arm import Arm
from controller.context import Context, DeviceState, LinkState, Mode, Option
from controller.controller import Controller
from controller.errors import NoArm
from controller.outcome import Confidence, Execution, Outcome
from controller.settings import ControllerSettings, Learning, Limits, Prior, Weights
from controller.signals import ImageSignals, Signals, text_signals

SMALL = Arm("local", "small", 64, "board")
SHARP = Arm("local", "sharp", 128, "board")
MID = Arm("cloud", "mid", 0, "peer-1")
STRONG = Arm("cloud", "strong", 0, "peer-2")
SETTINGS = ControllerSettings(
    priors={
        SMALL.skill: Prior(100.0, 0.6),
        SHARP.skill: Prior(200.0, 0.7),
        MID.skill: Prior(150.0, 0.8),
        STRONG.skill: Prior(300.0, 0.9),
    },
    limits=Limits(temp_c=85.0, memory_mb=200.0, battery_pct=15.0),
)
LINK = LinkState(rtt_ms=50.0, uplink_mbps=10.0)
SIGNALS = Signals(
    ImageSignals(320, 240, 20_000, "JPEG", 80.0, 0.5, 0.2, 0.0, 0.0, 20.0, 2.0, 0.1, 6.5),
    text_signals("How many cubes are there?"),
)
SURE, UNSURE = Confidence(0.999, -0.001, 1), Confidence(0.05, -1.2, 1)


def controller(settings: ControllerSettings = SETTINGS, seed: int = 0) -> Controller:
    return Controller(settings, rng=np.random.default_rng(seed))


def context(*arms: Arm, device: DeviceState | None = None, **what: object) -> Context:
    options = tuple(Option(arm, 20_000, link=LINK if arm.tier == "cloud" else None) for arm in arms)
    return Context(SIGNALS, options, device or DeviceState(), **what)  # type: ignore[arg-type]


def answered(arm: Arm, answer: str = "2", confidence: Confidence | None = None) -> Execution:
    latency_ms = 100.0 if arm.tier == "local" else 360.0
    return Execution(arm, latency_ms, 90.0, 0.0, 0.5, answer, confidence)


def taught(settings: ControllerSettings, count: int, cloud_agrees: bool, *, but_every: int = 0) -> Controller:
    """A controller that has seen the cloud agree, or differ, with all sure answers but every n-th."""
    taught = controller(settings)
    for i in range(count):
        decision = taught.decide(context(SMALL, STRONG), now=float(i))
        agrees = cloud_agrees != bool(but_every and i % but_every == 0)
        runs = [answered(SMALL, "2", SURE), answered(STRONG, "2" if agrees else "3")]
        taught.escalate(decision, runs[0], now=float(i))
        taught.learn(decision, Outcome(tuple(runs), 1), now=float(i))
    return taught


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


def test_with_nothing_learned_a_doubtful_answer_is_escalated_to_the_best_cloud_arm() -> None:
    policy = controller()
    decision = policy.decide(context(SMALL, MID, STRONG), now=0.0)
    for confidence in (None, UNSURE, SURE):
        found = policy.escalate(decision, answered(SMALL, confidence=confidence), now=0.0)
        assert (found.action, found.arm) == ("escalate", STRONG)
    assert decision.basis.reference == STRONG


def test_with_nothing_learned_the_first_questions_go_to_the_cloud_or_are_labelled() -> None:
    policy = controller()
    for i in range(20):
        decision = policy.decide(context(SMALL, STRONG), now=float(i))
        runs = [answered(decision.arm, "2", SURE)]
        if decision.arm == SMALL:
            found = policy.escalate(decision, runs[0], now=float(i))
            runs += [answered(found.arm, "2")] if found.arm else []
            assert found.action in ("escalate", "audit") or i >= 10
        policy.learn(decision, Outcome(tuple(runs), len(runs) - 1), now=float(i))
    assert policy.status().labels >= 5


def test_labels_that_agree_let_sure_answers_be_kept_and_labels_that_differ_do_not() -> None:
    quiet = replace(SETTINGS, audit_budget=0.0)
    for agrees, action in ((True, "keep"), (False, "escalate")):
        policy = taught(quiet, 60, agrees)
        decision = policy.decide(context(SMALL, STRONG), now=99.0)
        assert policy.escalate(decision, answered(SMALL, confidence=SURE), now=99.0).action == action
    assert decision.arm == STRONG
    assert "likely be wrong" in decision.reason


def test_a_cloud_that_is_slower_but_costs_less_is_asked_for_that() -> None:
    saving = replace(SETTINGS, weights=Weights(latency_per_s=0.0, energy_per_j=1.0))
    decision = controller(saving).decide(context(SMALL, STRONG), now=0.0)
    assert decision.arm == STRONG
    assert "costs less" in decision.reason


def test_hope_for_a_quicker_cloud_does_not_pay_for_its_calls() -> None:
    learning = Learning(probe_rate=0.0, exploration=0.0)
    paid = Weights(latency_per_s=0.0, energy_per_j=0.0, money_per_call=1.0)
    policy = taught(
        replace(SETTINGS, floor=0.98, weights=paid, learning=learning), 60, cloud_agrees=True, but_every=2
    )
    asked = [policy.decide(context(SMALL, STRONG), now=99.0) for _ in range(60)]
    assert asked[-1].basis.candidates.estimates.ignorance[1] > 0.4  # nobody has asked the cloud for long
    assert {decision.arm for decision in asked} == {SMALL}  # free to ask first, whatever is asked after it


def test_the_references_answer_is_always_kept_and_a_lesser_clouds_may_be_audited() -> None:
    policy = controller(replace(SETTINGS, audit_budget=1.0))
    decision = policy.decide(context(SMALL, MID, STRONG), now=0.0)
    assert policy.escalate(decision, answered(STRONG), now=0.0).action == "keep"
    found = [policy.escalate(decision, answered(MID), now=0.0) for _ in range(40)]
    assert {(f.action, f.arm) for f in found} == {("keep", None), ("audit", STRONG)}


def test_no_audit_is_drawn_when_the_link_has_no_room() -> None:
    policy = taught(replace(SETTINGS, audit_budget=1.0, audit_room_ms=100.0), 60, cloud_agrees=True)
    decision = policy.decide(context(SMALL, STRONG), now=99.0)
    found = [policy.escalate(decision, answered(SMALL, confidence=SURE), now=99.0) for _ in range(50)]
    assert {follow_up.action for follow_up in found} == {"keep"}


def test_propensities_are_the_frequencies_of_what_was_done() -> None:
    policy = taught(replace(SETTINGS, audit_budget=0.3, learning=Learning(probe_rate=0.2)), 60, True)
    drawn, propensity, kept = [], 0.0, context(SMALL, STRONG)
    for _ in range(2000):
        decision = policy.decide(kept, now=99.0)
        drawn.append(decision.arm == SMALL)
        propensity = decision.propensity if decision.arm == SMALL else 1 - decision.propensity
    assert np.mean(drawn) == pytest.approx(propensity, abs=0.04)
    found = [policy.escalate(decision, answered(SMALL, confidence=SURE), now=99.0) for _ in range(2000)]
    audits = [follow_up for follow_up in found if follow_up.action == "audit"]
    assert len(audits) / 2000 == pytest.approx(audits[0].propensity, abs=0.04)
    assert all(f.propensity == pytest.approx(1 - audits[0].propensity) for f in found if f.action == "keep")


def test_a_server_that_fails_is_avoided_for_a_while() -> None:
    policy = controller(replace(SETTINGS, learning=Learning(probe_rate=0.0)))
    both = context(replace(STRONG, server="peer-1"), STRONG)
    first = policy.decide(both, now=0.0).arm
    for i in range(3):
        decision = policy.decide(both, now=float(i))
        if decision.arm == first:
            policy.learn(decision, Outcome((Execution(first, None, failure="timeout"),), None), now=float(i))
    assert policy.decide(both, now=3.0).arm != first


def test_feedback_is_remembered_once_and_may_come_before_the_outcome() -> None:
    policy = controller()
    decision = policy.decide(context(SMALL, STRONG), now=0.0)
    assert policy.feedback(decision.id, True, now=0.5)
    assert policy.status().feedback == 0
    policy.learn(decision, Outcome((answered(STRONG),), 0), now=1.0)
    assert policy.status().feedback == 1
    assert not policy.feedback(decision.id, True, now=2.0)
    assert not policy.feedback("unknown", True, now=2.0)


def test_old_decisions_are_forgotten_so_that_memory_is_bounded() -> None:
    policy = controller()
    first = policy.decide(context(SMALL, STRONG), now=0.0)
    for i in range(2000):
        policy.decide(context(SMALL), now=float(i))
    assert not policy.feedback(first.id, True, now=1.0)


def test_with_no_cloud_feedback_alone_teaches_which_board_arm_is_good() -> None:
    policy = controller(replace(SETTINGS, learning=Learning(probe_rate=0.3)))
    for i in range(200):
        decision = policy.decide(context(SMALL, SHARP), now=float(i))
        run = replace(answered(decision.arm), latency_ms=100.0, compute_ms=100.0)
        policy.escalate(decision, run, now=float(i))
        policy.learn(decision, Outcome((run,), 0), now=float(i))
        policy.feedback(decision.id, decision.arm == SHARP, now=float(i))
    predictions = policy.decide(context(SMALL, SHARP), now=999.0).predictions
    assert predictions[SHARP.id].quality > predictions[SMALL.id].quality + 0.3
    assert predictions[SHARP.id].score < predictions[SMALL.id].score


def test_many_peers_at_once_are_no_trouble() -> None:
    crowd = [Arm("cloud", f"model-{i}", 0, f"peer-{i}") for i in range(200)]
    policy = controller()
    for i in range(3):
        decision = policy.decide(context(SMALL, *crowd), now=float(i))
        policy.learn(decision, Outcome((answered(decision.arm),), 0), now=float(i))
    assert len(decision.predictions) == 201


def test_a_question_of_which_nothing_is_remembered_is_still_learned_from() -> None:
    policy, other = controller(seed=1), controller(seed=2)
    decision = policy.decide(context(SMALL, STRONG), now=0.0)
    other.learn(decision, Outcome((answered(SMALL), answered(STRONG)), 0, audited=True), now=0.0)
    assert other.status().questions == 1


@pytest.mark.parametrize("known", [True, False], ids=["peer that is down", "no peer"])
def test_without_a_cloud_the_better_of_the_boards_arms_answers_from_the_first_question(known: bool) -> None:
    """Accuracy has its price before any call of the cloud has told what one costs."""
    options = [Option(SMALL), Option(SHARP)]
    if known:
        options.append(Option(STRONG, 20_000, blocked="its server is not healthy"))
    settings = replace(SETTINGS, learning=Learning(probe_rate=0.0, exploration=0.0))
    decision = controller(settings).decide(Context(SIGNALS, tuple(options)), now=0.0)
    assert decision.arm == SHARP
