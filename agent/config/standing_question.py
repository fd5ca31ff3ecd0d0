"""A question that the agent asks again and again about the pictures of a camera, and when."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PrivateAttr, model_validator

from agent.config.camera_source import TopicFilter
from agent.config.hours import HoursOfTheDay
from agent.config.yaml_file import Section
from agent.forms.form import AnswerForm, BadForm
from agent.messages.query import DEFAULT_PRIORITY, MAX_PRIORITY, MAX_QUESTION_LENGTH

USUAL_CHANGE, PARTS = 4, 64


def _as_parts(value: object) -> object:
    """Returns the usual threshold for `true`, and none for `false`."""
    if isinstance(value, bool):
        return USUAL_CHANGE if value else None
    return value


class When(Section):
    """When a question is asked.

    `every_s`, `on_change` and `trigger` are reasons to ask; one of them is enough. Without any, the question
    is asked about each new picture. `per_minute` and `between` limit them all.

    Attributes:
        every_s: seconds from one asking to the next.
        on_change: how many of 8 by 8 parts of the picture must have changed from lighter to darker than its
            mean or back, since the question was last answered; `true` for USUAL_CHANGE.
        trigger: a topic; each message there is a reason to ask, whatever it says.
        per_minute: most askings within a minute.
        between: hours of the day, in local time.
    """

    every_s: float | None = Field(None, ge=0.1, le=7 * 86_400)
    on_change: Annotated[int | None, BeforeValidator(_as_parts), Field(ge=1, le=PARTS)] = None
    trigger: TopicFilter | None = None
    per_minute: int | None = Field(None, ge=1, le=600)
    between: HoursOfTheDay | None = None

    @property
    def each_picture(self) -> bool:
        """Whether a new picture alone is a reason to ask."""
        return self.every_s is None and self.on_change is None and self.trigger is None


class StandingQuestion(Section):
    """One question of a camera.

    Attributes:
        text: the question.
        answer, choices, form_schema: the form of the answer, as in a query.
        when: when it is asked.
        pin, max_tokens, priority: as in a query.
        before: the picture at which the question was last answered is sent too, before the present one.
        deadline_ms: None for the period `every_s`, or without one for `intake.default_deadline_ms`.
        topic: where answers are published; None for `inarvl/<device>/camera/<camera>/<question>`.
        retain: whether the broker keeps the last answer for new subscribers.
    """

    text: str = Field(max_length=MAX_QUESTION_LENGTH)
    answer: str | None = None
    choices: tuple[str, ...] | None = None
    form_schema: dict[str, Any] | None = Field(None, alias="schema")
    when: When = When()
    before: bool = False
    pin: Literal["local", "cloud"] | None = None
    max_tokens: int | None = Field(None, ge=1)
    priority: int = Field(DEFAULT_PRIORITY, ge=0, le=MAX_PRIORITY)
    deadline_ms: float | None = Field(None, gt=0, lt=1e9)
    topic: str | None = None
    retain: bool = False
    _form: AnswerForm = PrivateAttr(default_factory=AnswerForm)

    @model_validator(mode="after")
    def _is_a_question(self) -> StandingQuestion:
        if not self.text.strip():
            raise ValueError("text is empty: write the question")
        fields = {"answer": self.answer, "choices": self.choices, "schema": self.form_schema}
        try:
            self._form = AnswerForm.from_fields(fields)
        except BadForm as error:
            raise ValueError(str(error)) from None
        return self

    @property
    def form(self) -> AnswerForm:
        """The form that the answer must have."""
        return self._form

    @property
    def deadline(self) -> float | None:
        """The time in which an answer is useful, in ms; None for the usual time of a query."""
        if self.deadline_ms is None and self.when.every_s is not None:
            return self.when.every_s * 1e3
        return self.deadline_ms
