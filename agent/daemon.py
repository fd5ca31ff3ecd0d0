"""The agent as a whole: wiring, start and stop.

1. Start: open the spool, restore what was learned, connect, hand on what an earlier run left behind.
2. Run: intake, workers and outbox, with sensing, peers, telemetry and checkpoints beside them.
3. Stop (SIGTERM or SIGINT): take no more queries, finish those taken until DRAIN_S is over, save, go offline.
An expected error is handled inside its loop; any other ends the process, and systemd starts it again.
"""

from __future__ import annotations

import logging
import signal
from dataclasses import replace
from functools import partial

import anyio
import numpy as np
from anyio import to_thread
from anyio.abc import TaskGroup

from agent import heartbeat, telemetry
from agent.answering import Answered, Answering
from agent.discovery import mdns
from agent.dispatch import Dispatch
from agent.exporter import export
from agent.feedback import Feedback
from agent.intake import Intake, IntakeLimits
from agent.job import Job
from agent.link import Links
from agent.metering import Metering
from agent.metrics import Metrics
from agent.mqtt import MqttLink, Will
from agent.outbox import Outbox
from agent.peers import Pace, Peers
from agent.profile import Profile
from agent.question import Question
from agent.sensing.meter import EnergyMeter
from agent.sensing.sensing import Sensing
from agent.sensing.sources import sources
from agent.servers import Servers
from agent.settings import Settings
from agent.spool import Spool
from agent.store import Store
from agent.topics import PEERS, Topics
from agent.workers import Workers
from cloud.peer import PeerRecord
from controller.controller import Controller
from controller.drift import DriftEvent
from controller.errors import SnapshotError
from inarvl import systemd

log = logging.getLogger(__name__)

DRAIN_S = 10.0
BOARD_RETRY_S = 3.0
BOARD = "board"
SITE = "site file"


class Daemon:
    """One run of the agent; nothing starts before `run`."""

    def __init__(self, settings: Settings, profile: Profile, *, rng: np.random.Generator) -> None:
        self._settings = settings
        self._profile = profile
        self._topics = Topics(settings.device)
        self._store = Store(settings.state_dir / "learned.json")
        decision = profile.controller_settings()
        self._controller = Controller(decision, rng=rng)
        meter = EnergyMeter(idle_w=profile.power.idle_w, every_s=profile.rates.power_s)
        self._sensing = Sensing(
            sources(power_s=profile.rates.power_s, sense_s=profile.rates.sense_s, rails=profile.power.rails),
            smoothing_s=profile.rates.smoothing_s,
            meter=meter,
        )
        self._link = MqttLink(
            settings.mqtt_options(f"inarvl-{settings.device}"),
            will=Will(self._topics.status, b"offline"),
            subscriptions=self._subscriptions(),
        )
        probing = settings.probing
        links = self._links = Links(probed=not probing.metered)
        pace = Pace(
            check_s=profile.rates.probe_s,
            checks_per_upload=max(1, round(probing.upload_every_s / profile.rates.probe_s)),
            upload_bytes=probing.upload_bytes,
            metered=probing.metered,
        )
        self._board = Peers(
            rng=rng,
            changed=self._server_changed,
            pace=replace(pace, longest_retry_s=BOARD_RETRY_S, upload_bytes=0, metered=False),
        )
        self._cloud = Peers(
            rng=rng,
            changed=self._server_changed,
            observe=links.observe,
            lost=links.lost,
            pace=pace,
            keys=settings.api_keys(),
        )
        metering = Metering(self._sensing, meter, decision.power, sees_radio=profile.power.sees_radio)
        self._servers = Servers(self._board, self._cloud, links, metering, profile.resolutions_of)
        self._answering = Answering(
            self._controller,
            self._servers,
            lambda: self._sensing.state,
            max_tokens=settings.intake.max_tokens,
        )
        self._metrics = Metrics(self._sensing, meter, self._servers.report, self._controller.status)
        self._feedback = Feedback(self._controller)

    async def run(self) -> None:
        """Run until told to stop.

        Raises:
            SpoolFailed: the state directory cannot be used.
        """
        self._restore()
        self._offer_known()
        waiting = self._settings.intake.max_waiting
        spool = await Spool.open(self._settings.state_dir / "spool.db", max_waiting=waiting)
        outbox = Outbox(spool, self._link)
        workers = Workers(self._answering, outbox, self._feedback, self._look, self._done)
        send_job, jobs = anyio.create_memory_object_stream[Job](waiting)
        limits = IntakeLimits(
            self._settings.intake.max_payload_bytes, self._settings.intake.default_deadline_ms
        )
        intake = Intake(self._topics, spool, outbox, send_job, limits)
        async with self._link, anyio.create_task_group() as background:
            self._link.when_connected(self._greet)
            self._start_loops(background, spool, workers)
            background.start_soon(outbox.resume)
            async with anyio.create_task_group() as working:
                for _ in range(self._settings.intake.workers):
                    working.start_soon(workers.run, jobs)
                systemd.notify("READY=1")
                await self._take_until_stopped(intake)
                systemd.notify("STOPPING=1\nSTATUS=finishing what was taken")
                send_job.close()
                working.cancel_scope.deadline = anyio.current_time() + DRAIN_S
            background.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await self._say_goodbye()
        await spool.close()

    async def _take_until_stopped(self, intake: Intake) -> None:
        dispatch = Dispatch(
            self._topics,
            self._link,
            intake=intake,
            answering=self._answering,
            feedback=self._feedback,
            cloud=self._cloud,
        )
        async with anyio.create_task_group() as taking:
            taking.start_soon(intake.resume)
            taking.start_soon(dispatch.run)
            with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
                async for number in signals:
                    log.info("stopping on %s", number.name)
                    break
            taking.cancel_scope.cancel()

    def _start_loops(self, background: TaskGroup, spool: Spool, workers: Workers) -> None:
        rates = self._profile.rates
        for loop in (
            self._sensing.run,
            self._board.run,
            self._cloud.run,
            partial(heartbeat.repeat, rates.telemetry_s, self._report),
            partial(heartbeat.checkpoint, rates.checkpoint_s, self._store, self._controller.snapshot),
            partial(heartbeat.prune, spool),
            partial(heartbeat.watchdog, workers.busy_since, self._summary),
        ):
            background.start_soon(loop)
        if self._settings.metrics_address is not None:
            background.start_soon(export, *self._settings.metrics_address, self._metrics.render)
        if self._settings.discovery.zeroconf:
            background.start_soon(
                mdns.browse,
                partial(self._cloud.offer, source=mdns.SOURCE),
                partial(self._cloud.withdraw, source=mdns.SOURCE),
            )

    def _subscriptions(self) -> tuple[str, ...]:
        own = (self._topics.query, self._topics.mode_set, self._topics.feedback)
        return (*own, f"{PEERS}/+") if self._settings.discovery.mqtt else own

    def _offer_known(self) -> None:
        if self._settings.local is not None:
            self._board.offer(PeerRecord(BOARD, self._settings.local), source=SITE)
        for server in self._settings.peers:
            self._cloud.offer(PeerRecord(server.id, server.url, server.models), source=SITE)

    def _look(self, job: Job) -> Question:
        return Question.look(
            job.query,
            {arm.resolution for arm in self._servers.arms()},
            image_roots=self._settings.image_roots,
            max_image_bytes=self._settings.intake.max_payload_bytes,
        )

    def _done(self, job: Job, answered: Answered, alarms: tuple[DriftEvent, ...]) -> None:
        self._link.post(self._topics.decision, telemetry.decision_record(job, answered))
        for alarm in alarms:
            log.warning("%s", alarm.text)
            self._link.post(self._topics.event, {"event": "drift", "message": alarm.text})

    def _server_changed(self, server: str, state: str) -> None:
        log.info("server %s is %s", server, state)
        if state in ("found", "gone"):  # one that is found at another address is another path
            self._links.forget(server)
        self._link.post(self._topics.event, {"event": "server", "server": server, "state": state})
        self._report()

    def _greet(self) -> None:
        self._link.post(self._topics.status, "online", retain=True)
        self._link.post(self._topics.mode_state, self._answering.mode, retain=True)
        self._report()

    def _report(self) -> None:
        content = telemetry.telemetry(
            self._sensing, self._servers, self._controller, self._answering.mode, self._metrics
        )
        self._link.post(self._topics.telemetry, content, retain=True)

    def _summary(self) -> str:
        status = self._controller.status()
        healthy = len(self._cloud.healthy())
        return f"{status.questions} answered, {status.edge_share:.0%} on the board, {healthy} peers"

    def _restore(self) -> None:
        learned = self._store.load()
        if learned is None:
            return
        try:
            self._controller.restore(learned)
        except SnapshotError as error:
            log.warning("what was learned before cannot be used (%s): starting afresh", error)

    async def _say_goodbye(self) -> None:
        await to_thread.run_sync(self._store.save, self._controller.snapshot())
        with anyio.move_on_after(2):
            await self._link.publish(self._topics.status, b"offline", qos=1, retain=True)
