"""`inarvl`: runs the agent, and helps to operate it."""

from __future__ import annotations

from agent.cli import peer, profile
from agent.cli.ask import ask
from agent.cli.discover import discover
from agent.cli.doctor import doctor
from agent.cli.log import log
from agent.cli.replay import replay
from agent.cli.route import route
from agent.cli.run import run
from agent.cli.status import status
from agent.cli.top import top
from agent.cli.up import up
from agent.cli.validate import validate
from inarvl.program import program

app = program("inarvl", "Answer questions about camera images on a small board, with help from the cloud.")
for command in (up, run, ask, route, status, top, log, replay, discover, doctor, validate):
    app.command()(command)
app.add_typer(profile.app, name="profile")
app.add_typer(peer.app, name="peer")
