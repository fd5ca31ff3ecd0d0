"""The site file: the device's name, and where its broker, models and peers are."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from agent.config.camera_rules import CameraHost, camera_problem
from agent.config.camera_settings import CameraSettings
from agent.config.client_settings import Clients, Replies, TopicLevel
from agent.config.feedback_settings import FeedbackSettings
from agent.config.home_assistant_settings import HomeAssistantSettings
from agent.config.http_settings import HttpSettings
from agent.config.metrics_settings import MetricsSettings
from agent.config.page_settings import PageSettings
from agent.config.peer_settings import Discovery, Prompt, Server, plaintext_problem
from agent.config.privacy_settings import PrivacySettings
from agent.config.secret import SecretFile, optional_secret, secret_file_path
from agent.config.spend_settings import SpendSettings
from agent.config.yaml_file import Section, load
from agent.messages.mqtt_options import MqttOptions
from agent.messages.topics import Topics
from inarvl.server_url import socket_problem, url_problem

SITE_FILE = Path("/etc/inarvl/agent.yaml")
PACKET_SLACK = 2  # a query of up to this many times the limit still reaches the agent, and is refused by it


class Broker(Section):
    """Address and credentials of the MQTT broker.

    Attributes:
        url: `mqtt://host` or `mqtts://host`, with `:port` if it is not 1883 or 8883.
        username: the agent's user on the broker.
        password_file: file of the secret.
        ca_file: certificates of the CAs that may have signed the broker's; default: those of the system.
        cert_file: the device's certificate, if the broker requires one.
        key_file: file of the key of that certificate.
        protocol: version of MQTT; `auto`: 5 if the broker supports it.
        keepalive_s: seconds without a message after which the connection is tested.
    """

    url: str = "mqtt://localhost:1883"
    username: str | None = None
    password_file: SecretFile | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: SecretFile | None = None
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    keepalive_s: int = Field(30, ge=5, le=3600)

    @field_validator("url")
    @classmethod
    def _is_mqtt(cls, url: str) -> str:
        return _checked(url, ("mqtt", "mqtts"), "use username and password_file")

    @property
    def host(self) -> str:
        """Host name or address of the broker."""
        return urlsplit(self.url).hostname or ""

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.url.startswith("mqtts:")

    @property
    def port(self) -> int:
        """The URL's port, else the protocol's default."""
        return urlsplit(self.url).port or (8883 if self.tls else 1883)


class Probing(Section):
    """Traffic that measures the network path to peers, and tests their models.

    Attributes:
        metered: nothing is sent to measure a path; only real requests do.
        sight: whether the models of peers are tested once, with two small pictures each.
        upload_bytes: size of the upload that measures the uplink; 0 for none.
        upload_every_s: time between two such uploads.
    """

    metered: bool = False
    sight: bool = True
    upload_bytes: int = Field(32_768, ge=0, le=2**20)
    upload_every_s: float = Field(60, ge=1)


class JudgeSettings(Section):
    """Whether a cloud model is asked if two answers agree, where their texts leave it open, and how often.

    Attributes:
        enabled: whether it is asked at all.
        calls_per_hour: most calls; a judgement needs two, of one output token each.
        tokens_per_day: most tokens of prompts and replies.
    """

    enabled: bool = True
    calls_per_hour: int = Field(600, ge=1)
    tokens_per_day: int = Field(200_000, ge=1)


class IntakeSettings(Section):
    """Limits on received queries.

    Attributes:
        open_topic: whether queries on `inarvl/<device>/query` are received, where a client's name is a claim.
        max_payload_bytes: larger queries are refused.
        max_images: queries with more images are refused.
        max_waiting: queries that may wait; beyond these, the last in order are refused as `busy`.
        max_spool_mb: disk space for the waiting queries and the undelivered replies.
        default_deadline_ms: deadline of a query that has none.
        workers: queries that are answered at the same time.
        max_tokens: most output tokens of an answer.
    """

    open_topic: bool = True
    max_payload_bytes: int = Field(8 * 2**20, ge=1024)
    max_images: int = Field(4, ge=1, le=64)
    max_waiting: int = Field(256, ge=1)
    max_spool_mb: int = Field(256, ge=1)
    default_deadline_ms: float = Field(30_000, gt=0)
    workers: int = Field(8, ge=1, le=64)
    max_tokens: int = Field(64, ge=1)


class Settings(Section):
    """The whole site file; the defaults suit a single board that runs its own broker.

    Attributes:
        device: the device's level of its topics, `inarvl/<device>/query`; default: the host name.
        profile: name of a bundled profile, a file that ends in `.yaml`, or `auto`: chosen by the board.
        local: the board's model server: `unix:` and the path of a socket, or a URL; null for none.
        local_allow_plaintext: whether `local` may name another machine without TLS.
        image_roots: folders from which `image_url` of a query may read.
        state_dir: folder of what the agent stores; default: systemd's StateDirectory, /var/lib/inarvl-agent.
        prompt: system text of all calls to servers that have none of their own.
        reference: name of the cloud model that the others are measured by; None lets the agent choose.
        camera_hosts: hosts from which pictures of cameras may be fetched.
    """

    device: TopicLevel = Field(default_factory=socket.gethostname)
    broker: Broker = Broker()
    profile: str = "auto"
    local: str | None = "unix:/run/inarvl/vlm.sock"
    local_allow_plaintext: bool = False
    peers: tuple[Server, ...] = ()
    prompt: Prompt | None = None
    reference: str | None = None
    discovery: Discovery = Discovery()
    probing: Probing = Probing()
    judge: JudgeSettings = JudgeSettings()
    feedback: FeedbackSettings = FeedbackSettings()
    metrics: MetricsSettings | None = None
    http: HttpSettings | None = None
    spend: SpendSettings = SpendSettings()
    cameras: dict[TopicLevel, CameraSettings] = Field(default_factory=dict)
    camera_hosts: tuple[CameraHost, ...] = ()
    home_assistant: HomeAssistantSettings = HomeAssistantSettings()
    privacy: PrivacySettings = PrivacySettings()
    image_roots: tuple[Path, ...] = ()
    state_dir: Path = Field(
        default_factory=lambda: Path(os.environ.get("STATE_DIRECTORY", "/var/lib/inarvl-agent"))
    )
    intake: IntakeSettings = IntakeSettings()
    replies: Replies = Replies()
    clients: Clients = Field(default_factory=dict)

    @field_validator("local")
    @classmethod
    def _is_socket_or_http(cls, url: str | None) -> str | None:
        if url is None:
            return url
        if url.lower().startswith("unix:"):
            problem = socket_problem(url)
        else:
            problem = url_problem(url, ("http", "https"), "the board's own server needs none")
        if problem is not None:
            raise ValueError(f"{problem}, or unix:/path of a socket, or null for no local model")
        return url

    @model_validator(mode="after")
    def _local_is_encrypted(self) -> Settings:
        problem = plaintext_problem(
            self.local or "unix:", "local_allow_plaintext", allowed=self.local_allow_plaintext
        )
        if problem is not None:
            raise ValueError(f"local: {problem}")
        return self

    @model_validator(mode="after")
    def _cameras_are_allowed(self) -> Settings:
        for name, camera in self.cameras.items():
            problem = camera_problem(
                name,
                camera,
                Topics(self.device),
                allow=self.replies.allow,
                hosts=self.camera_hosts,
                roots=self.image_roots,
                max_images=self.intake.max_images,
            )
            if problem is not None:
                raise ValueError(f"cameras.{name}.{problem}")
        return self

    @model_validator(mode="after")
    def _frames_are_of_cameras(self) -> Settings:
        for name in self.home_assistant.frames:
            if name not in self.cameras or self.cameras[name].source is None:
                raise ValueError(f"home_assistant.frames: no camera {name!r} with a source: see cameras")
        return self

    @field_validator("peers")
    @classmethod
    def _have_unique_ids(cls, peers: tuple[Server, ...]) -> tuple[Server, ...]:
        ids = [peer.id for peer in peers]
        for peer in ids:
            if ids.count(peer) > 1:
                raise ValueError(f"two peers have the id {peer!r}; give each a different one")
        return peers

    @property
    def secret_files(self) -> tuple[Path, ...]:
        """The files with passwords, private keys and API keys, which the agent reads when it starts."""
        files = [self.broker.password_file, self.broker.key_file, self.discovery.trust.key_file]
        files += [section.token_file for section in (self.metrics, self.http) if section is not None]
        for server in self.peers:
            files += [server.api_key_file, server.key_file]
        files += [camera.source.password_file for camera in self.cameras.values() if camera.source]
        return tuple(file for file in files if file is not None)

    def mqtt_options(self, client_id: str) -> MqttOptions:
        """Returns the options of a connection to the broker as `client_id`.

        Raises:
            ConfigError: the password cannot be read.
        """
        broker = self.broker
        return MqttOptions(
            host=broker.host,
            port=broker.port,
            client_id=client_id,
            username=broker.username,
            password=optional_secret(broker.password_file),
            tls=broker.tls,
            ca_file=broker.ca_file,
            cert_file=broker.cert_file,
            key_file=secret_file_path(broker.key_file),
            protocol=broker.protocol,
            keepalive_s=broker.keepalive_s,
            maximum_packet_bytes=PACKET_SLACK * self.intake.max_payload_bytes + 2**20,
        )

    @property
    def page(self) -> PageSettings | None:
        """What the page for operators shows; None for no page."""
        return None if self.http is None else self.http.page

    def prompt_for(self, peer: str | None) -> str | None:
        """Returns the system text of calls to the peer with that id, or with None to the board's server."""
        prompts = {server.id: server.prompt for server in self.peers if server.prompt is not None}
        return self.prompt if peer is None else prompts.get(peer, self.prompt)

    def api_keys(self) -> dict[str, str]:
        """Returns the API keys of the configured servers, by server id.

        Raises:
            ConfigError: a key file cannot be read.
        """
        keys = {server.id: optional_secret(server.api_key_file) for server in self.peers}
        return {server: key for server, key in keys.items() if key is not None}


def load_settings(path: Path) -> Settings:
    """Reads a site file.

    Raises:
        ConfigError: the file is missing or invalid; the message names the key and the fix.
    """
    return load(path, Settings)


def site_settings(path: Path | None) -> Settings:
    """Reads the site file at `path`, by default SITE_FILE; returns the defaults if that does not exist.

    Raises:
        ConfigError: see load_settings.
    """
    if path is None and not SITE_FILE.exists():
        return Settings()
    return load_settings(path or SITE_FILE)


def _checked(url: str, schemes: tuple[str, ...], credentials_hint: str) -> str:
    problem = url_problem(url, schemes, credentials_hint)
    if problem is not None:
        raise ValueError(problem)
    return url
