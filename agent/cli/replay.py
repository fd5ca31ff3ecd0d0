"""`inarvl replay`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from agent.cli.figures import UNKNOWN, number, percent
from agent.cli.log_line import known
from agent.cli.options import Config, Json
from agent.config.settings import site_settings
from agent.profile.choice import configured_profile
from agent.reporting.decision_log import read_decisions, read_records
from agent.reporting.logged_decision import BoardFirst, read
from agent.reporting.what_if import Interval, Replayed, Value, as_it_was, what_if
from controller import Weights
from inarvl import logs
from inarvl.terminal import explained, plain, print_json

ROWS: Final = {  # the field, and the factor and unit that it is printed with
    "on the board": ("board_share", 100.0, "%"),
    "cloud calls": ("cloud_calls", 100.0, "%"),
    "latency": ("latency_ms", 1.0, " ms"),
    "energy": ("energy_j", 1.0, " J"),
    "accuracy kept": ("kept", 100.0, "%"),
}


def replay(
    floor: Annotated[
        float | None,
        typer.Option(min=0.5, max=0.999, help="Another floor, such as 0.95; default: as logged."),
    ] = None,
    latency_weight: Annotated[
        float | None, typer.Option(min=0, help="Another weight of a second; default: the profile's.")
    ] = None,
    energy_weight: Annotated[
        float | None, typer.Option(min=0, help="Another weight of a joule; default: the profile's.")
    ] = None,
    call_weight: Annotated[
        float | None,
        typer.Option(min=0, help="Another weight of a call of the cloud; default: the profile's."),
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option(help="A decision log; default: that of this machine's agent, which root can read."),
    ] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Estimate what another floor, or other weights, would have changed, from the agent's decision log.

    It replays which answers of the board are kept, and which tier is asked first stays as it was. The exit
    status is 1 if the log cannot answer the question; then the reason is printed.
    """
    with explained("inarvl"):
        settings = site_settings(config)
        records = read_decisions(settings.state_dir) if log is None else list(read_records(log))
        with logs.silent("agent"):
            own = configured_profile(settings.profile).controller_settings()
    usable = [found for record in records if (found := read(record)) is not None]
    floors = [value for record in records if (value := known(record, "floor")) is not None]
    logged_floor = floors[-1] if floors else own.floor
    weights = Weights(
        own.weights.latency_per_s if latency_weight is None else latency_weight,
        own.weights.energy_per_j if energy_weight is None else energy_weight,
        own.weights.money_per_call if call_weight is None else call_weight,
    )
    same = what_if(usable, logged_floor, own.weights)
    other = what_if(usable, logged_floor if floor is None else floor, weights)
    was = as_it_was(usable) if usable else None
    used = {
        "records": len(records),
        "used": len(usable),
        "board_first": sum(isinstance(found, BoardFirst) for found in usable),
    }
    if as_json:
        print_json({**used, "as_it_was": was and asdict(was), "same": asdict(same), "other": asdict(other)})
    else:
        _print(used, was, same, other)
    if other.problem is not None:
        raise typer.Exit(1)


def _print(used: dict[str, int], was: Value | None, same: Replayed, other: Replayed) -> None:
    screen = Console()
    screen.print(
        plain(
            f"{used['used']:,} of {used['records']:,} answers can be used; the board was asked first for "
            f"{used['board_first']:,} of them, and the others stay as they were"
        )
    )
    if other.problem is not None:
        screen.print(plain(f"the log cannot answer this: {other.problem}", "yellow"))
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("95% interval", "as it was", f"floor {percent(same.floor, 1)}"):
        table.add_column(name)
    table.add_column(f"what if: {percent(other.floor, 1)}")
    for name, row in ROWS.items():
        table.add_row(name, *[_cell(value, *row) for value in (was, same.value, other.value)])
    screen.print(table)
    screen.print(
        plain(
            f"the cloud would be asked after {other.newly_asked:,} answers that were kept ({other.seen:,} of "
            f"them audited), and {other.newly_kept:,} answers that were escalated would be kept"
        )
    )
    if same.problem is not None:
        screen.print(plain(f"the rule as it is cannot be replayed: {same.problem}", "yellow"))


def _cell(value: Value | None, field: str, factor: float, unit: str) -> str:
    if value is None:
        return UNKNOWN
    found: Interval = getattr(value, field)
    if found.high - found.low < 1e-9:
        return f"{number(found.estimate * factor)}{unit}"
    low, estimate, high = (number(end * factor) for end in (found.low, found.estimate, found.high))
    return f"{estimate}{unit} ({low} to {high})"
