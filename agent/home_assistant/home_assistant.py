"""The agent in Home Assistant: one device with the entities of the board, its cameras and their questions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agent.config.settings import Settings
from agent.home_assistant.component import Component
from agent.home_assistant.picture import picture_component
from agent.home_assistant.pictures import PicturePublisher
from agent.home_assistant.publisher import DiscoveryPublisher, Storage
from agent.home_assistant.question import question_component
from agent.messages.topics import Topics
from agent.watching.watching import plans_of
from inarvl.door import Door


class HomeAssistant:
    """Follows the site file.

    Args:
        model: of the board.
        store: what was announced, across restarts.
        report: publishes an error, by its code and message.
        guard: guards against faults that a picture finds.
    """

    def __init__(
        self,
        settings: Settings,
        store: Storage,
        *,
        model: str,
        report: Callable[[str, str], None],
        guard: Door,
    ) -> None:
        self._settings = settings
        topics = self._topics = Topics(settings.device)
        self._pictures = PicturePublisher(topics, guard=guard)
        self._publisher = DiscoveryPublisher(
            settings.home_assistant,
            topics,
            model,
            settings.mqtt_options(f"inarvl-{settings.device}"),
            store,
            cameras=self._components,
            pictures=self._pictures.run,
            report=report,
        )
        self.apply(settings)

    def apply(self, settings: Settings) -> None:
        """Applies a changed site file."""
        self._settings = settings
        self._pictures.apply({name: camera for name, camera in settings.cameras.items() if self._shows(name)})
        self._publisher.apply(settings.home_assistant)

    def observe(self, telemetry: Mapping[str, Any]) -> None:
        """Adds the entities for which the telemetry has values."""
        self._publisher.observe(telemetry)

    def show(self, camera: str, data: bytes) -> None:
        """Publishes a picture of a camera, if the site file allows it."""
        self._pictures.offer(camera, data)

    async def run(self) -> None:
        """Publishes until cancelled."""
        await self._publisher.run()

    def _shows(self, camera: str) -> bool:
        settings = self._settings.home_assistant
        return settings.enabled and camera in settings.frames

    def _components(self) -> list[Component]:
        components = []
        for name, plan in plans_of(self._settings, self._topics).items():
            if self._shows(name):
                components.append(picture_component(name, self._topics.camera_picture(name)))
            components += [
                question_component(name, key, question.form, plan.topics[key])
                for key, question in plan.settings.questions.items()
            ]
        return components
