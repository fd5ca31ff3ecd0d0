"""The command `inarvl-cloud`: serves models to devices, or announces another server to them."""

from __future__ import annotations

import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import anyio
import typer

from cloud.announce import AnnounceFailed
from cloud.announcement import (
    HOSTNAME,
    Advertise,
    Announcement,
    Broker,
    BrokerCaFile,
    BrokerCertFile,
    BrokerKeyFile,
    Identifier,
    Interface,
    PasswordFile,
    PricesFile,
    Username,
    Zeroconf,
    advertised_address,
    read_prices,
    warn_of_other_name,
)
from cloud.keygen import app as keygen
from cloud.peer import PeerRecord
from cloud.ray_cli import ray_command
from inarvl import __version__, logs, systemd
from inarvl.program import program
from inarvl.secret_file import secret_path
from inarvl.terminal import explained
from vlm import VlmClient
from vlm.bearer_tokens import first_token
from vlm.client_tls import ClientTls
from vlm.model_options import (
    Batch,
    BatchWaitMs,
    Compute,
    DeviceChoice,
    LogLevel,
    MaxTokens,
    Models,
    QuantizationChoice,
    Quantize,
    Queue,
    Revision,
    Sha256,
    Threads,
    pinned_checkpoints,
)
from vlm.server import ServeOptions, ServerInfo, serve
from vlm.server_options import (
    AllowedHost,
    ClientCa,
    Insecure,
    Tls,
    TlsCert,
    TlsKey,
    TokenFile,
    server_access,
    server_tls,
)

app = program("inarvl-cloud", "Serve models to devices, or announce another server to them.")

app.command("ray")(ray_command)
app.add_typer(keygen, name="keygen")


@app.command("serve")
def serve_command(
    model: Models,
    listen: Annotated[
        str, typer.Option(help="Address host:port; port 0 selects a free port.")
    ] = "127.0.0.1:8020",
    sha256: Sha256 = None,
    revision: Revision = None,
    quantization: Quantize = QuantizationChoice.none,
    device: Compute = DeviceChoice.auto,
    max_tokens: MaxTokens = 64,
    queue: Queue = 32,
    threads: Threads = None,
    batch: Batch = 1,
    batch_wait_ms: BatchWaitMs = 0,
    peer_id: Identifier = HOSTNAME,
    advertise: Advertise = None,
    broker: Broker = None,
    username: Username = None,
    password_file: PasswordFile = None,
    zeroconf: Zeroconf = True,
    interface: Interface = None,
    broker_ca_file: BrokerCaFile = None,
    broker_cert_file: BrokerCertFile = None,
    broker_key_file: BrokerKeyFile = None,
    prices: PricesFile = None,
    tls: Tls = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    client_ca: ClientCa = None,
    token_file: TokenFile = None,
    allowed_host: AllowedHost = None,
    insecure: Insecure = False,
    log_level: LogLevel = "info",
) -> None:
    """Serve models like `inarvl-vlm serve`, and announce them once they are ready."""
    logs.configure(log_level)
    with explained("inarvl-cloud"):
        announcement = Announcement(
            zeroconf,
            tuple(interface or ()),
            broker,
            username,
            password_file,
            broker_ca_file,
            broker_cert_file,
            broker_key_file,
            read_prices(prices),
        )

    async def run(options: ServeOptions) -> None:
        async with AsyncExitStack() as announcements:

            async def announce(info: ServerInfo) -> None:
                scheme = "http" if options.access.tls is None else "https"
                record = PeerRecord(
                    id=peer_id,
                    url=f"{scheme}://{advertised_address(advertise, info.host, info.port)}",
                    models=tuple(card.id for card in info.models),
                    version=__version__,
                )
                if options.access.tls is not None:
                    warn_of_other_name(record, options.access.tls.certificate().hosts)
                listening = None if advertise else info.host
                await announcements.enter_async_context(announcement.of(record, listening=listening))

            await serve(options, on_ready=announce)

    with explained("inarvl-cloud"):
        if listen.startswith("unix:") and advertise is None:
            raise AnnounceFailed(
                "devices cannot reach a unix socket: give --advertise of the proxy before it"
            )
        files = server_tls(tls, tls_cert, tls_key, client_ca)
        names = [*(allowed_host or ()), *([advertise] if advertise else ())]
        access = server_access(files, token_file, names, insecure)
        access.check_address(listen)
        options = ServeOptions(
            models=pinned_checkpoints(model, None, quantization.value, sha256, revision),
            listen=listen,
            device=device.value,
            max_tokens=max_tokens,
            queue=queue,
            threads=threads,
            batch=batch,
            batch_wait_s=batch_wait_ms / 1000,
            access=access,
        )
        anyio.run(run, options)


@app.command("announce")
def announce_command(
    url: Annotated[str, typer.Option(help="http(s)://host:port of an OpenAI-compatible server.")],
    peer_id: Identifier = HOSTNAME,
    broker: Broker = None,
    username: Username = None,
    password_file: PasswordFile = None,
    zeroconf: Zeroconf = True,
    interface: Interface = None,
    broker_ca_file: BrokerCaFile = None,
    broker_cert_file: BrokerCertFile = None,
    broker_key_file: BrokerKeyFile = None,
    prices: PricesFile = None,
    ca_file: Annotated[
        Path | None, typer.Option(help="CA file to check the server by; by default the CAs of the system.")
    ] = None,
    cert_file: Annotated[
        Path | None, typer.Option(help="Client certificate, if the server requires one.")
    ] = None,
    key_file: Annotated[Path | None, typer.Option(help="Key file of --cert-file.")] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="File with the token of the server, if it requires one.")
    ] = None,
    log_level: LogLevel = "info",
) -> None:
    """Announce a server that runs already, such as vLLM or Ollama."""
    logs.configure(log_level)
    with explained("inarvl-cloud"):
        announcement = Announcement(
            zeroconf,
            tuple(interface or ()),
            broker,
            username,
            password_file,
            broker_ca_file,
            broker_cert_file,
            broker_key_file,
            read_prices(prices),
        )

    async def run() -> None:
        token = None if token_file is None else first_token(secret_path(token_file))
        key = None if key_file is None else secret_path(key_file)
        client = VlmClient(url, api_key=token, tls=ClientTls(ca_file, cert_file, key))
        try:
            models = tuple(card.id for card in await client.models())
        finally:
            await client.aclose()
        record = PeerRecord(id=peer_id, url=url, models=models, version=__version__)
        async with announcement.of(record):
            systemd.notify(f"READY=1\nSTATUS=announcing {url}")
            with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
                async for _ in signals:
                    return

    with explained("inarvl-cloud"):
        anyio.run(run)
