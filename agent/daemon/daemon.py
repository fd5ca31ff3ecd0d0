"""The agent as a whole: its parts, its start and its stop.

1. Start: restore the learned state and the mode, open the spool, connect, and resume the unfinished queries
   and replies of an earlier run.
2. Run: receive, answer and reply; read sensors, check servers, publish telemetry and save, all at the same
   time. SIGHUP reads the site file again.
3. Stop (SIGTERM or SIGINT): receive no more queries, finish the received ones within DRAIN_S, save, and
   publish "offline".
4. An expected error is handled inside its loop. Any other ends the process, and systemd starts it again.
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

from agent.answering.answering import Answering
from agent.answering.arms import Arms
from agent.answering.cameras import Cameras
from agent.answering.comparing import Comparing
from agent.answering.feedback import Feedback
from agent.answering.feedback_trust import FeedbackTrust
from agent.answering.question import QuestionReader
from agent.answering.workers import Workers
from agent.config.settings import Settings
from agent.daemon import heartbeat
from agent.daemon.answer_reports import AnswerReports
from agent.daemon.backlog import Backlog
from agent.daemon.doors import Doors
from agent.daemon.http import HttpService
from agent.daemon.learned_state import LearnedState
from agent.daemon.limits import Limits
from agent.daemon.message_router import MessageRouter
from agent.daemon.mode import ModeSwitch
from agent.daemon.reload import reload
from agent.daemon.state_folder import StateFolder
from agent.daemon.store import Store
from agent.daemon.watchdog import Watchdog, status_line
from agent.home_assistant.home_assistant import HomeAssistant
from agent.intake.direct_door import DirectDoor
from agent.intake.intake import Intake
from agent.intake.mqtt_door import MqttDoor
from agent.intake.outbox import Outbox
from agent.intake.quarantine import Quarantine
from agent.intake.queue import RequestQueue
from agent.intake.reply_publisher import ReplyPublisher
from agent.judging.judge import Judge
from agent.messages.mqtt_connection import MqttConnection
from agent.messages.mqtt_options import Will
from agent.messages.reply_rules import ReplyRules
from agent.messages.topics import Topics
from agent.page.page import Page
from agent.peers.directory import ServerDirectory
from agent.profile.pins import ModelPins
from agent.profile.profile import Profile
from agent.reporting.events import Events
from agent.reporting.reporter import Reporter
from agent.sensing.call_energy import CallEnergyMeter
from agent.sensing.own_cost import OwnCostMeter
from agent.sensing.plug import plug_of
from agent.sensing.sensing import Sensing
from agent.spool.spool import MAX_KEPT_REPLY, Spool, SpoolEntry
from agent.spool.under_way import UnderWay
from agent.watching.watching import Watching
from cloud.peer import TOPIC as PEERS
from controller import Controller
from inarvl import systemd

log = logging.getLogger(__name__)

DRAIN_S = 10.0
OPEN_PER_QUERY = 2  # spool entries per query that may wait: undelivered replies need entries too


class Daemon:
    """One run of the agent; nothing starts before `run`.

    Args:
        reread: returns the settings, read again; called on SIGHUP.
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
        topics = self._topics = Topics(settings.device)
        mqtt = self._mqtt = MqttConnection(
            settings.mqtt_options(f"inarvl-{settings.device}"),
            will=Will(topics.status, b"offline"),
            subscriptions=(f"{PEERS}/+",) if settings.discovery.mqtt else (),
            live=topics.received(open_topic=settings.intake.open_topic),
            ended=() if settings.intake.open_topic else (topics.query,),
        )
        self._reply_rules = ReplyRules(topics, settings.replies.allow)
        self._times_taken_over = 0
        self._doors = Doors()
        self._page = Page(settings.page, settings.device, door=self._doors.follow_ups)
        self._events = Events(mqtt, topics.event, also=self._page.event)
        self._state = StateFolder(settings.state_dir, settings.privacy, self._events)
        plug = plug_of(profile, settings.mqtt_options(f"inarvl-{settings.device}"), self._doors.plug)
        self._sensing = Sensing.from_profile(profile, plug=plug, report=self._events.publish)
        self._servers = ServerDirectory(
            settings, profile, rng=rng, changed=self._server_changed, doors=self._doors.peers
        )
        replies = self._doors.peers.replies
        energy_meter = CallEnergyMeter.from_profile(profile, self._sensing)
        limits = self._limits = Limits(settings, self._servers, self._events)
        self._cameras = Cameras(settings.cameras, limits.calls)
        self._arms = Arms(
            self._servers,
            energy_meter,
            ModelPins(profile).resolutions_of,
            profile.max_images_of,
            cameras=self._cameras,
            meter=limits.meter,
            door=replies,
        )
        self._judge = Judge(settings.judge, self._servers, energy_meter, meter=limits.meter, door=replies)
        self._comparing = Comparing(self._judge, rng=rng)
        learning = replace(profile.controller_settings(), reference=settings.reference)
        self._controller = Controller(learning, rng=rng)
        trust = self._trust = FeedbackTrust(settings.feedback.trusted)
        self._answering = Answering(
            self._controller,
            self._arms,
            lambda: self._sensing.state,
            settings,
            rng=rng,
            comparing=self._comparing,
            scrutiny=trust.scrutiny,
        )
        self._feedback = Feedback(
            self._answering.feedback,
            trust=trust,
            ignored=lambda message: self._events.error("feedback_ignored", message, logged=True),
            door=self._doors.feedback,
        )
        self._questions = QuestionReader(self._arms.resolutions, settings, self._cameras)
        self._queue = RequestQueue(settings.intake.max_waiting, settings.intake.workers)
        self._backlog = Backlog(self._queue, settings.intake)
        self._intake = Intake(self._queue, settings)
        announced = Store(settings.state_dir / "home_assistant.json")
        self._home_assistant = HomeAssistant(
            settings, announced, model=profile.name, report=self._events.error, guard=self._doors.cameras
        )
        self._watching = Watching(
            settings,
            settings.mqtt_options(f"inarvl-{settings.device}"),
            topics,
            mqtt,
            DirectDoor(self._intake),
            partial(self._events.publish, "camera"),
            show=self._home_assistant.show,
            guard=self._doors.cameras,
            rng=rng,
        )
        self._mode = ModeSwitch(
            self._answering, Store(settings.state_dir / "mode.json"), mqtt, topics, self._events
        )
        learned = Store(settings.state_dir / "learned.json")
        self._learned = LearnedState(
            self._controller, self._comparing.calibration, trust, learned, self._events
        )
        self._own_cost = OwnCostMeter(profile.power.core_w, lambda: self._controller.status().questions)
        self._reporter = Reporter(
            mqtt,
            topics,
            sensing=self._sensing,
            servers=self._servers,
            controller=self._controller,
            answering=self._answering,
            agreement=lambda: {**self._comparing.report.to_json(), "judge": self._judge.report()},
            cameras=self._watching.report,
            own_cost=self._own_cost.cost,
            observers=(self._home_assistant.observe, self._page.telemetry),
            doors=self._doors.all(),
            spend=limits.spend.report,
            backlog=self._backlog.report,
            decisions=self._state.decisions,
        )
        limits.meter.ended = self._reporter.counters.called
        self._intake.replied = self._reporter.counters.replied
        self._http = HttpService(
            settings.http,
            intake=self._intake,
            feedback=self._feedback,
            arms=self._arms,
            mqtt=mqtt,
            servers=self._servers,
            metrics=self._reporter.metrics,
            door=self._doors.http,
            page=self._page,
            set_mode=self._mode.set,
        )

    async def run(self) -> None:
        """Runs until SIGTERM or SIGINT.

        Raises:
            SpoolFailed: the state directory cannot be used.
        """
        self._state.prepare()
        self._learned.restore(self._profile.warm_start)
        self._mode.restore()
        self._limits.restore()
        self._servers.apply(self._settings)
        self._own_cost.start()
        limits, queue = self._settings.intake, self._queue
        spool = await Spool.open(
            self._settings.state_dir / "spool.db",
            max_waiting=OPEN_PER_QUERY * limits.max_waiting,
            max_bytes=limits.max_spool_mb * 2**20,
            max_kept_reply=MAX_KEPT_REPLY if self._settings.privacy.keep_replies else 0,
            damaged=self._state.spool_damaged,
        )
        self._reporter.spool = spool
        under_way = UnderWay(self._settings.state_dir / "under-way")
        publisher = ReplyPublisher(self._mqtt, self._topics, self._state.dead_letters, self._reply_rules)
        outbox = Outbox(spool, publisher, replied=self._reporter.counters.replied)
        door = MqttDoor(
            self._topics,
            spool,
            outbox,
            self._intake,
            Quarantine(under_way, self._state.dead_letters),
            self._reply_rules,
            guard=self._doors.queries,
        )
        reports = AnswerReports(self._reporter, self._page, self._events, self._arms.policy, self._settings)
        workers = Workers(
            self._answering,
            self._feedback,
            self._questions,
            settled=self._arms.settled,
            under_way=under_way,
            answered=reports.report,
            door=self._doors.follow_ups,
        )
        outbox.resume(await spool.undelivered())
        unanswered = await spool.waiting()  # read before any new query can arrive
        async with self._mqtt, anyio.create_task_group() as background:
            self._mqtt.when_connected(self._connected)
            self._start_loops(background, spool)
            line = partial(status_line, self._controller, self._mqtt, self._servers)
            background.start_soon(Watchdog(spool, self._mqtt, workers, queue).run, line)
            background.start_soon(outbox.run)
            background.start_soon(workers.refuse_expired, queue)
            await background.start(self._http.run)
            async with anyio.create_task_group() as working:
                for _ in range(limits.workers):
                    working.start_soon(workers.run, queue)
                working.start_soon(self._watching.run)
                await self._receive_until_stopped(door, unanswered)
                self._http.stop()
                systemd.notify("STOPPING=1\nSTATUS=finishing the received queries")
                self._watching.stop()
                queue.close()
                working.cancel_scope.deadline = until = anyio.current_time() + DRAIN_S
            with anyio.CancelScope(deadline=until):
                await outbox.emptied()
            background.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await self._learned.save()
                await self._limits.spend.store()
                with anyio.move_on_after(2):
                    await self._mqtt.publish(self._topics.status, b"offline", qos=1, retain=True)
        under_way.close()
        await spool.close()

    async def _receive_until_stopped(self, door: MqttDoor, unanswered: list[SpoolEntry]) -> None:
        router = MessageRouter(
            self._topics,
            self._mqtt,
            door=door,
            commands=self._doors.commands,
            mode=self._mode,
            feedback=self._feedback,
            servers=self._servers,
            open_topic=self._settings.intake.open_topic,
        )
        async with anyio.create_task_group() as receiving:
            receiving.start_soon(door.resume, unanswered)
            receiving.start_soon(router.run)
            with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
                systemd.notify("READY=1")
                async for number in signals:
                    if number != signal.SIGHUP:
                        log.info("stopping on %s", number.name)
                        break
                    self._reload()
            receiving.cancel_scope.cancel()

    def _start_loops(self, background: TaskGroup, spool: Spool) -> None:
        rates = self._profile.rates
        for loop in (
            self._sensing.run,
            self._servers.run,
            self._judge.run,
            self._home_assistant.run,
            self._page.run,
            partial(heartbeat.repeat, rates.telemetry_s, self._reporter.publish_telemetry),
            partial(self._backlog.count, spool, rates.telemetry_s),
            partial(self._learned.save_every, rates.checkpoint_s),
            partial(self._reporter.serve_metrics, self._settings.metrics),
            partial(heartbeat.prune, spool, self._state.remove_old),
        ):
            background.start_soon(loop)

    def _reload(self) -> None:
        systemd.reloading()
        self._settings, summary = reload(self._settings, self._reread)
        for part in (self._servers, self._intake, self._questions, self._answering, self._home_assistant):
            part.apply(self._settings)
        self._limits.apply(self._settings)
        self._judge.apply(self._settings.judge)
        self._reply_rules.apply(self._settings.replies.allow)
        self._trust.apply(self._settings.feedback.trusted)
        self._cameras.apply(self._settings.cameras)
        self._watching.apply(self._settings)
        self._events.publish("reload", message=summary)
        systemd.notify(f"READY=1\nSTATUS={summary}")

    def _connected(self) -> None:
        self._mqtt.post(self._topics.status, "offline" if self._mqtt.problem else "online", retain=True)
        if self._mqtt.times_taken_over > self._times_taken_over:
            self._times_taken_over = self._mqtt.times_taken_over
            self._events.error("name_taken", f"another agent is named {self._settings.device!r}: rename one")
        self._mode.publish()
        self._events.catch_up()
        self._reporter.publish_telemetry()

    def _server_changed(self, server: str, state: str) -> None:
        details = {"message": problem} if (problem := self._servers.problem(server)) is not None else {}
        self._events.publish("server", server=server, state=state, **details)
        self._reporter.publish_telemetry()
