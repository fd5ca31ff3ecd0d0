"""What a comparison of two answers adds to what was known before."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.truth import compared

SHARES = st.floats(0.001, 0.999)


@given(SHARES)
def test_a_certain_comparison_decides_and_an_undecided_one_adds_nothing(differ: float) -> None:
    assert compared(differ, 1.0) == 0.0
    assert compared(differ, 0.0) == 1.0
    assert compared(differ, 0.5) == pytest.approx(differ)


@given(SHARES, SHARES, SHARES)
def test_the_more_likely_the_texts_agree_the_less_likely_the_answers_differ(
    differ: float, one: float, other: float
) -> None:
    low, high = sorted((one, other))
    assert compared(differ, high) <= compared(differ, low)


@given(st.sampled_from([0.0, 1.0]), st.sampled_from([0.0, 1.0]))
def test_the_result_is_a_probability_also_where_both_are_certain(differ: float, p_same: float) -> None:
    assert 0.0 <= compared(differ, p_same) <= 1.0
