"""The model server: listen, load, answer, drain.

1. The server refuses to listen where other machines reach it, unless they need a token or a certificate.
2. It listens before it loads, so that /healthz and /readyz report its state.
3. Ready means that every model is loaded and has answered once.
4. On SIGTERM or SIGINT it refuses new requests, answers the accepted ones within the drain time, and exits 0.
5. If the model is stuck or memory runs out, the server exits with an error, so that systemd restarts it.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import anyio
import psutil
from aiohttp import web

from inarvl import systemd
from vlm.checkpoint import Checkpoint, Device
from vlm.completion import ModelCard
from vlm.connections import BoundedSite
from vlm.endpoints import Endpoints
from vlm.errors import ModelLoadError, OutOfMemory, VlmUnavailable
from vlm.loading_progress import loading_display
from vlm.runtime import Runtime
from vlm.server_access import ServerAccess
from vlm.server_tls import ServerContext
from vlm.sockets import listening
from vlm.worker import Worker

log = logging.getLogger(__name__)

WATCH_S = 5.0
CLOSE_S = 5.0


@dataclass(frozen=True)
class ServeOptions:
    """The models to serve, the address, and the limits.

    Attributes:
        models: served under their names, which must differ.
        listen: "unix:/path" or "host:port"; port 0 selects a free port.
        max_tokens: most output tokens of an answer.
        queue: how many requests may wait; more are refused as busy.
        threads: CPU threads of torch; None lets torch choose.
        drain_s: time to answer the accepted requests when the server stops.
        stuck_s: time without a token after which a running request is stuck.
        max_rss_bytes: resident memory at which the server exits; None for no limit.
        max_rss_growth_bytes: increase of resident memory, since the server was ready, at which it exits.
        batch: how many requests may be answered in one batch.
        batch_wait_s: how long an idle server waits for more requests to fill a batch.
        access: who may use the server.
    """

    models: tuple[Checkpoint, ...]
    listen: str
    device: Device = "auto"
    max_tokens: int = 64
    queue: int = 8
    threads: int | None = None
    drain_s: float = 10.0
    stuck_s: float = 120.0
    max_rss_bytes: int | None = None
    max_rss_growth_bytes: int | None = None
    batch: int = 1
    batch_wait_s: float = 0.0
    access: ServerAccess = field(default_factory=ServerAccess)


@dataclass(frozen=True)
class ServerInfo:
    """A server that is ready. On a unix socket, `host` is the socket's path and `port` is None."""

    host: str
    port: int | None
    models: tuple[ModelCard, ...]


async def serve(
    options: ServeOptions,
    *,
    on_ready: Callable[[ServerInfo], Awaitable[None]] | None = None,
    stop: anyio.Event | None = None,
) -> None:
    """Serves until `stop` is set, or without `stop` until SIGTERM or SIGINT.

    Args:
        on_ready: called once, when every model is loaded and warmed up.

    Raises:
        ListenError: the address cannot be used, or is open to other machines.
        BadTokenFile, BadTlsFile: a file of `access` cannot be used.
        ModelLoadError: a model cannot be loaded, or the names are not different.
        VlmUnavailable: a request is stuck; the process must be restarted.
        OutOfMemory: memory ran out or is over its limit; the process must be restarted.
    """
    names = [checkpoint.name for checkpoint in options.models]
    if not names or len(set(names)) < len(names):
        raise ModelLoadError("give at least one --model, and each a different --name")
    options.access.check_address(options.listen)
    access_check = options.access.request_check(options.listen)
    tls = ServerContext(options.access.tls) if options.access.tls is not None else None
    stop = stop or _stop_on_signals()
    _check_watchdog(options.drain_s)
    runtime = Runtime(Worker(queue=options.queue, batch=options.batch, batch_wait_s=options.batch_wait_s))
    endpoints = Endpoints(runtime, access_check)
    runner = web.AppRunner(
        endpoints.app(),
        handler_cancellation=True,
        shutdown_timeout=max(options.drain_s, 0.001),  # aiohttp reads 0 as "no limit"
        access_log=None,
    )
    with listening(options.listen) as listener:
        try:
            await runner.setup()
            site = BoundedSite(runner, listener, endpoints.connections, tls.current if tls else None)
            await site.start()
            address = listener.getsockname()
            log.info(
                "listening on %s", options.listen if isinstance(address, str) else _format_address(address)
            )
            await _run_until_first(stop.wait(), _load(runtime, options))
            if not stop.is_set():
                host, port = (address, None) if isinstance(address, str) else address[:2]
                systemd.notify(f"READY=1\nSTATUS=serving {', '.join(names)}")
                log.info("ready: %s", ", ".join(names))
                if on_ready:
                    await on_ready(ServerInfo(host, port, runtime.cards))
                await _run_until_first(stop.wait(), _watch(runtime, options), runtime.wait_out_of_memory())
            log.info("stopping")
            systemd.notify("STOPPING=1\nSTATUS=draining")
        finally:
            runtime.stop_accepting()
            await runner.cleanup()
            if not runtime.close(CLOSE_S):
                log.warning("the running request did not stop within %.0f s", CLOSE_S)


async def _load(runtime: Runtime, options: ServeOptions) -> None:
    with loading_display() as display:

        def report(model: str, stage: str, share: float) -> None:
            systemd.notify(f"STATUS={stage} {model} ({share:.0%})")
            display(model, stage, share)

        await runtime.load(
            options.models,
            device=options.device,
            max_tokens=options.max_tokens,
            threads=options.threads,
            report=report,
        )


async def _watch(runtime: Runtime, options: ServeOptions) -> None:
    """Feeds systemd's watchdog while requests make progress and memory is below its limits.

    Raises:
        VlmUnavailable: a request is stuck.
        OutOfMemory: memory is over a limit.
    """
    interval_s = systemd.watchdog_interval_s() or WATCH_S
    process = psutil.Process()
    ready_bytes = process.memory_info().rss
    while True:
        stuck_s = runtime.stuck_s()
        if stuck_s > options.stuck_s:
            raise VlmUnavailable(f"no token for {stuck_s:.0f} s; exiting to be restarted")
        rss_bytes = process.memory_info().rss
        if options.max_rss_bytes is not None and rss_bytes > options.max_rss_bytes:
            raise OutOfMemory(
                f"{rss_bytes / 2**20:.0f} MiB resident, over the limit; exiting to be restarted"
            )
        growth_bytes = rss_bytes - ready_bytes
        if options.max_rss_growth_bytes is not None and growth_bytes > options.max_rss_growth_bytes:
            raise OutOfMemory(
                f"{growth_bytes / 2**20:.0f} MiB more resident than when it was ready, over the limit; "
                "exiting to be restarted"
            )
        systemd.notify("WATCHDOG=1")
        await anyio.sleep(interval_s)


def _check_watchdog(drain_s: float) -> None:
    """Warns if systemd's watchdog would end the server while it drains, when it is not fed any more."""
    interval_s = systemd.watchdog_interval_s()
    if interval_s is not None and interval_s <= drain_s + CLOSE_S:
        log.warning(
            "the watchdog would kill the server while it stops: make WatchdogSec longer than %.0f s, or "
            "--drain-s shorter than %.0f s",
            2 * (drain_s + CLOSE_S),
            max(0.0, interval_s - CLOSE_S),
        )


async def _run_until_first(*coroutines: Coroutine[Any, Any, Any]) -> None:
    """Runs all until the first one ends, cancels the others, and raises the error of the first, if any."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in ended:
        task.result()


def _stop_on_signals() -> anyio.Event:
    stop = anyio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def _format_address(address: tuple[Any, ...]) -> str:
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
