"""`inarvl status` shows how often answers agree, who judges that, and what to do if they never do."""

from agent.cli.status import agreement_lines


def test_agreement_is_shown_by_form_with_the_judge_and_the_warnings() -> None:
    text = {"compared": 240, "mean_p_same": 0.04, "judged_share": 0.35, "audited": 1, "contradicted": 0}
    judge = {
        "enabled": True,
        "models": {"big": {"used": True, "finding": "its AUROC on 20 trial pairs is 0.97"}},
        "calls": 124,
        "tokens": 12400,
        "energy_j": 3.21,
    }
    assert agreement_lines({"forms": {"text": text}, "judge": judge, "warnings": ["name a form"]}) == [
        "agreement on text: 4% of the last 100 comparisons, 35% of all 240 judged",
        "judge: big is used: its AUROC on 20 trial pairs is 0.97",
        "judging used 124 calls, 12400 tokens and 3.2 J",
        "warning: name a form",
    ]


def test_an_agent_that_compared_nothing_shows_nothing() -> None:
    judge = {"enabled": True, "models": {}, "calls": 0, "tokens": 0, "energy_j": 0.0}
    assert agreement_lines({"forms": {}, "judge": judge, "warnings": []}) == []
