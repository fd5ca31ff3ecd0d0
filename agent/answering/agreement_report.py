"""Counts how often answers agree, by form, and names the forms in which they almost never do."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Final

from agent.forms.form import AnswerForm

log = logging.getLogger(__name__)

WINDOW: Final = 100
MIN_COMPARED: Final = 30
SELDOM: Final = 0.1


@dataclass
class FormCount:
    """The comparisons of one form.

    Attributes:
        compared: how many there were.
        judged: how many of them were decided by the judge.
        audited: how many were sure, and judged too.
        contradicted: how many of those the judge decided in the other way.
        mean_p_same: mean probability that both answers say the same, over about the last WINDOW.
    """

    compared: int = 0
    judged: int = 0
    audited: int = 0
    contradicted: int = 0
    mean_p_same: float = 0.0

    @property
    def seldom(self) -> bool:
        """Whether almost nothing agrees."""
        return self.compared >= MIN_COMPARED and self.mean_p_same < SELDOM


class AgreementReport:
    """The comparisons since the start of the agent, by form; an inferred form counts as itself."""

    def __init__(self) -> None:
        self._forms: dict[str, FormCount] = {}

    def add(self, form: AnswerForm, p_same: float, sure: bool, judged: float | None) -> None:
        """Counts one comparison; logs a warning when almost nothing agrees any more."""
        count = self._forms.setdefault(form.kind, FormCount())
        was_seldom = count.seldom
        count.compared += 1
        count.mean_p_same += (p_same - count.mean_p_same) / min(count.compared, WINDOW)
        if judged is not None and sure:
            count.audited += 1
            count.contradicted += (judged > 0.5) != (p_same > 0.5)
        elif judged is not None:
            count.judged += 1
        if count.seldom and not was_seldom:
            log.warning("%s", _advice(form.kind))

    def to_json(self) -> dict[str, Any]:
        """Returns the counts by form, and what to do about forms in which almost nothing agrees."""
        forms = {
            kind: {
                "compared": count.compared,
                "mean_p_same": round(count.mean_p_same, 3),
                "judged_share": round(count.judged / count.compared, 3),
                "audited": count.audited,
                "contradicted": count.contradicted,
            }
            for kind, count in sorted(self._forms.items())
        }
        return {"forms": forms, "warnings": [_advice(kind) for kind, c in self._forms.items() if c.seldom]}


def _advice(kind: str) -> str:
    advice = "check that both see the image and answer in one language"
    if kind in ("text", "short"):
        advice = "name an `answer` form in the query, such as yes_no, number or choice"
    return f"the models seldom agree on form `{kind}`: {advice}"
