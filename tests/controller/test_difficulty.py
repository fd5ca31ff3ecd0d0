"""What one answer shows of a question for the other arms."""

import numpy as np
import pytest

from controller.difficulty import harder

DIFFER = np.array([0.0, 0.1, 0.4])


def test_an_answer_as_good_as_guessed_tells_nothing_of_the_others() -> None:
    assert harder(DIFFER, 0.2, 0.2) == pytest.approx(DIFFER)


def test_an_unsure_answer_makes_the_others_riskier_but_for_the_reference() -> None:
    found = harder(DIFFER, 0.7, 0.2)
    assert found[0] == 0.0
    assert (found[1:] > DIFFER[1:]).all()
    assert (found < 1.0).all()
    assert (harder(DIFFER, 0.05, 0.2)[1:] < DIFFER[1:]).all()
