"""Shows the progress of loading: bars on a terminal, log lines elsewhere."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

log = logging.getLogger(__name__)

Report = Callable[[str, str, float], None]
"""Called with (model, stage in words, share done from 0 to 1)."""


@contextlib.contextmanager
def loading_display() -> Iterator[Report]:
    """Yields a function to report loading to, shown on standard error."""
    if not sys.stderr.isatty():
        yield _log_stages()
        return
    columns = (
        TextColumn("{task.fields[model]}"),
        BarColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bars: dict[str, Any] = {}

        def show(model: str, stage: str, share: float) -> None:
            if model not in bars:
                bars[model] = progress.add_task(stage, total=1.0, model=model)
            progress.update(bars[model], description=stage, completed=share)

        yield show


def _log_stages() -> Report:
    logged: dict[str, str] = {}

    def show(model: str, stage: str, _share: float) -> None:
        if logged.get(model) != stage:
            logged[model] = stage
            log.info("%s: %s", model, stage)

    return show


@contextlib.contextmanager
def weights_progress(report: Callable[[float], None]) -> Iterator[None]:
    """Reports, as a share from 0 to 1, what transformers' own progress bars would show."""
    from transformers.utils import logging as bars

    set_hook = getattr(bars, "set_tqdm_hook", None)
    if set_hook is None:  # releases of transformers without the hook draw their own bars
        yield
        return
    previous = set_hook(lambda _factory, args, options: _Bar(report, *args, **options))
    try:
        yield
    finally:
        set_hook(previous)


class _Bar:
    """The part of tqdm's interface that transformers uses."""

    def __init__(
        self, report: Callable[[float], None], items: Any = None, total: int | None = None, **_: Any
    ) -> None:
        self._report = report
        self._items = items
        self._total = total or (len(items) if hasattr(items, "__len__") else None)
        self._done = 0

    def __iter__(self) -> Iterator[Any]:
        for item in self._items:
            yield item
            self.update()

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return lambda *_args, **_options: None

    def update(self, count: int = 1) -> None:
        self._done += count
        if self._total:
            self._report(min(1.0, self._done / self._total))
