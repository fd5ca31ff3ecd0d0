"""The agent as a whole: wiring, start and stop.

1. Start: open the spool, restore what was learned, connect, hand on what an earlier run left behind.
2. Run: intake, workers and outbox, with sensing, peers, telemetry and checkpoints beside them. SIGHUP reads
   the site file again.
3. Stop (SIGTERM or SIGINT): take no more queries, finish those taken until DRAIN_S is over, save, go offline.
An expected error is handled inside its loop; any other ends the process, and systemd starts it again.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import anyio
import numpy as np
from anyio.abc import TaskGroup

from agent.answering.answering import Answered, Answering
from agent.answering.feedback import Feedback
from agent.answering.question import Question
from agent.answering.servers import Servers
from agent.answering.workers import Workers
from agent.config.settings import Settings
from agent.daemon import heartbeat
from agent.daemon.mode import ModeSwitch
from agent.daemon.reload import reloaded
from agent.daemon.router import Router
from agent.daemon.store import Store
from agent.daemon.watchdog import Watchdog
from agent.intake.intake import Intake, IntakeLimits
from agent.intake.job import Job
from agent.intake.outbox import Outbox
from agent.intake.queue import RequestQueue
from agent.messages.mqtt import MqttConnection, Will
from agent.messages.topics import PEERS, Topics
from agent.peers import mdns
from agent.peers.path import Paths
from agent.peers.registry import CheckSchedule, PeerRegistry
from agent.peers.site_file import SiteServers
from agent.profile.profile import Profile
from agent.profile.warm_start import read_warm_start
from agent.reporting import telemetry
from agent.reporting.events import Events
from agent.reporting.exporter import export
from agent.reporting.metrics import Metrics
from agent.sensing.call_energy import CallEnergyMeter
from agent.sensing.energy_meter import EnergyMeter
from agent.sensing.sensing import Sensing
from agent.sensing.sources import sources
from agent.spool.spool import Spool, SpoolEntry
from controller.controller import Controller
from controller.drift import DriftEvent
from inarvl import systemd
from inarvl.errors import InarvlError

log = logging.getLogger(__name__)

DRAIN_S = 10.0
BOARD_RETRY_S = 3.0
NAMING_S = 3.0  # in which zeroconf and the broker tell of the peers that are there
SPOOLED = 2  # open entries per query that may wait: replies that the broker has yet to take are open too


class Daemon:
    """One run of the agent; nothing starts before `run`.

    Args:
        reread: reads the settings again; called on SIGHUP.
    """

    def __init__(
        self,
        settings: Settings,
        profile: Profile,
        *,
        rng: np.random.Generator,
        reread: Callable[[], Settings] | None = None,
    ) -> None:
        self._settings = settings
        self._reread = reread or (lambda: settings)
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
        self._link = MqttConnection(
            settings.mqtt_options(f"inarvl-{settings.device}"),
            will=Will(self._topics.status, b"offline"),
            subscriptions=self._subscriptions(),
        )
        probing = settings.probing
        links = self._links = Paths(probed=not probing.metered)
        pace = CheckSchedule(
            check_s=profile.rates.probe_s,
            checks_per_upload=max(1, round(probing.upload_every_s / profile.rates.probe_s)),
            upload_bytes=probing.upload_bytes,
            metered=probing.metered,
            naming_s=NAMING_S if settings.discovery.zeroconf or settings.discovery.mqtt else 0.0,
        )
        self._board = PeerRegistry(
            rng=rng,
            changed=self._server_changed,
            pace=replace(
                pace,
                longest_retry_s=BOARD_RETRY_S,
                upload_bytes=0,
                metered=False,
                naming_s=0.0,
                trials=settings.intake.workers,  # there may be nobody else to ask
            ),
        )
        self._cloud = PeerRegistry(
            rng=rng,
            changed=self._server_changed,
            observe=links.observe,
            lost=links.lost,
            pace=pace,
        )
        metering = CallEnergyMeter(self._sensing, meter, decision.power, sees_radio=profile.power.sees_radio)
        self._servers = Servers(self._board, self._cloud, links, metering, profile.resolutions_of)
        self._answering = Answering(
            self._controller,
            self._servers,
            lambda: self._sensing.state,
            max_tokens=settings.intake.max_tokens,
            rng=rng,
        )
        self._metrics = Metrics(self._sensing, meter, self._servers.report, self._controller.status)
        self._feedback = Feedback(self._controller)
        self._named = SiteServers(self._board, self._cloud)
        self._events = Events(self._link, self._topics.event)
        self._mode = ModeSwitch(
            self._answering, Store(settings.state_dir / "mode.json"), self._link, self._topics, self._events
        )

    async def run(self) -> None:
        """Run until told to stop.

        Raises:
            SpoolFailed: the state directory cannot be used.
        """
        self._restore()
        self._named.offer(self._settings)
        limits = self._settings.intake
        spool = await Spool.open(
            self._settings.state_dir / "spool.db",
            max_waiting=SPOOLED * limits.max_waiting,
            max_bytes=limits.max_spool_mb * 2**20,
            damaged=lambda damage: self._events.error("spool_damaged", str(damage)),
        )
        outbox = Outbox(spool, self._link)
        waiting = RequestQueue(limits.max_waiting, limits.workers)
        workers = Workers(
            self._answering, outbox, self._feedback, self._look, self._done, self._servers.settled
        )
        intake = Intake(
            self._topics,
            spool,
            outbox,
            waiting,
            IntakeLimits(limits.max_payload_bytes, limits.default_deadline_ms),
        )
        outbox.resume(await spool.undelivered())
        unanswered = await spool.waiting()  # read before anything new can come between
        async with self._link, anyio.create_task_group() as background:
            self._link.when_connected(self._greet)
            self._start_loops(background, spool)
            background.start_soon(Watchdog(spool, self._link, workers, waiting).run, self._summary)
            background.start_soon(outbox.run)
            background.start_soon(workers.shed, waiting)
            async with anyio.create_task_group() as working:
                for _ in range(limits.workers):
                    working.start_soon(workers.run, waiting)
                await self._take_until_stopped(intake, unanswered)
                systemd.notify("STOPPING=1\nSTATUS=finishing what was taken")
                waiting.close()
                working.cancel_scope.deadline = until = anyio.current_time() + DRAIN_S
            with anyio.CancelScope(deadline=until):
                await outbox.emptied()
            background.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await self._say_goodbye()
        await spool.close()

    async def _take_until_stopped(self, intake: Intake, unanswered: list[SpoolEntry]) -> None:
        dispatch = Router(
            self._topics,
            self._link,
            intake=intake,
            mode=self._mode,
            feedback=self._feedback,
            cloud=self._cloud,
        )
        async with anyio.create_task_group() as taking:
            taking.start_soon(intake.resume, unanswered)
            taking.start_soon(dispatch.run)
            with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
                systemd.notify("READY=1")
                async for number in signals:
                    if number == signal.SIGHUP:
                        self._reload(intake)
                        continue
                    log.info("stopping on %s", number.name)
                    break
            taking.cancel_scope.cancel()

    def _start_loops(self, background: TaskGroup, spool: Spool) -> None:
        rates = self._profile.rates
        for loop in (
            self._sensing.run,
            self._board.run,
            self._cloud.run,
            partial(heartbeat.repeat, rates.telemetry_s, self._report),
            partial(heartbeat.checkpoint, rates.checkpoint_s, self._store, self._controller.snapshot),
            partial(heartbeat.prune, spool),
        ):
            background.start_soon(loop)
        if self._settings.metrics_address is not None:
            background.start_soon(export, *self._settings.metrics_address, self._metrics.render)
        if self._settings.discovery.zeroconf:
            background.start_soon(
                mdns.browse,
                partial(self._cloud.offer, source=mdns.SOURCE),
                partial(self._cloud.withdraw, source=mdns.SOURCE),
                partial(self._cloud.lapse, source=mdns.SOURCE),
            )

    def _subscriptions(self) -> tuple[str, ...]:
        own = (self._topics.query, self._topics.mode_set, self._topics.feedback)
        return (*own, f"{PEERS}/+") if self._settings.discovery.mqtt else own

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
            self._events.tell("drift", message=alarm.text)

    def _server_changed(self, server: str, state: str) -> None:
        log.info("server %s is %s", server, state)
        if state in ("found", "gone"):  # one that is found at another address is another path
            self._links.forget(server)
        self._events.tell("server", server=server, state=state)
        self._report()

    def _greet(self) -> None:
        self._link.post(self._topics.status, "online", retain=True)
        self._mode.tell()
        self._events.catch_up()
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
        if (path := self._profile.warm_start) is not None:
            try:
                self._controller.begin(read_warm_start(path))
            except InarvlError as error:
                self._events.error("warm_start_failed", f"nothing is known of the models yet: {error}")
        for aside in self._store.load(self._controller.restore):
            message = f"what was learned was no good, or of another version: see {aside}"
            self._events.error("learned_damaged", message)
        for aside in self._mode.restore():
            message = f"the mode may not be the one last set: {aside} was damaged; set it again"
            self._events.error("mode_damaged", message)

    def _reload(self, intake: Intake) -> None:
        systemd.reloading()
        before = self._settings
        self._settings, told = reloaded(before, self._reread)
        limits = self._settings.intake
        intake.limits = IntakeLimits(limits.max_payload_bytes, limits.default_deadline_ms)
        self._answering.asking.max_tokens = limits.max_tokens
        self._named.change(before, self._settings)
        self._events.tell("reload", message=told)
        systemd.notify(f"READY=1\nSTATUS={told}")

    async def _say_goodbye(self) -> None:
        await heartbeat.save(self._store, self._controller.snapshot())
        with anyio.move_on_after(2):
            await self._link.publish(self._topics.status, b"offline", qos=1, retain=True)
