"""`inarvl-bench`: records traces, evaluates policies on them, and tests an installation."""

from __future__ import annotations

from inarvl.program import program
from lab.agreement.command import agreement_command
from lab.grade.command import grade_command
from lab.outcomes.command import outcomes_command
from lab.outcomes.import_command import import_app
from lab.replay.command import replay_command
from lab.replay.warm_start_command import warm_start_command
from lab.report.command import report_command
from lab.rig.faults.command import faults_command
from lab.rig.fuzz.command import fuzz_command
from lab.rig.load.command import load_command, soak_command
from lab.speed.command import speed_command
from lab.trace.command import merge_command, questions_command, record_command

app = program(
    "inarvl-bench",
    "Record traces, evaluate policies on them, and test an installation under load and faults.",
)
app.command("questions")(questions_command)
app.command("record")(record_command)
app.command("merge")(merge_command)
app.add_typer(import_app, name="import")
app.command("grade")(grade_command)
app.command("warm-start")(warm_start_command)
app.command("replay")(replay_command)
app.command("outcomes")(outcomes_command)
app.command("report")(report_command)
app.command("agreement")(agreement_command)
app.command("load")(load_command)
app.command("faults")(faults_command)
app.command("soak")(soak_command)
app.command("fuzz")(fuzz_command)
app.command("speed")(speed_command)
