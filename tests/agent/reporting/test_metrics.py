"""Every measurement has a Prometheus metric in base units, and the number of labels is limited."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from aiohttp import ClientSession
from prometheus_client.parser import text_string_to_metric_families

from agent.config.metrics_settings import MetricsSettings
from agent.reporting.exporter import ExporterFailed, export
from agent.reporting.metrics import MAX_LABEL_LENGTH, MAX_LABELS
from agent.sensing.sample import Sample
from agent.standalone.broker import free_port
from metrics_rig import LINK, metrics

TOKEN = "a-token-of-the-test"


@pytest.mark.anyio
async def test_metrics_have_base_units() -> None:
    sample = Sample(
        power_w=7.0,
        rails_w={"VDD_IN": 7.0},
        temps_c={"cpu": 48.5},
        memory_available_mb=2.0,
        battery_pct=41.0,
        throttled=True,
        power_mode="15W",
        memory_pressure=0.25,
    )
    server = {"tier": "cloud", "id": "gpu-1", "healthy": True, "link": LINK}
    values = (await metrics(sample, [server])).samples()
    assert values == {
        "inarvl_board_power_watts": 7.0,
        'inarvl_board_rail_power_watts{rail="VDD_IN"}': 7.0,
        'inarvl_board_temperature_celsius{zone="cpu"}': 48.5,
        "inarvl_board_memory_available_bytes": 2 * 2**20,
        "inarvl_board_battery_ratio": pytest.approx(0.41),
        "inarvl_board_throttled": 1.0,
        'inarvl_board_power_mode_info{mode="15W"}': 1.0,
        'inarvl_board_pressure_ratio{resource="memory"}': 0.25,
        'inarvl_sensor_fault{sensor="faulty"}': 1.0,
        'inarvl_board_energy_joules_total{part="answers"}': 0.0,
        'inarvl_board_energy_joules_total{part="idle"}': 5.0,
        "inarvl_board_other_energy_joules": 2.0,
        "inarvl_board_idle_power_watts": 7.0,
        'inarvl_server_healthy{tier="cloud",server="gpu-1"}': 1.0,
        'inarvl_link_round_trip_seconds{peer="gpu-1"}': pytest.approx(0.04),
        'inarvl_link_jitter_seconds{peer="gpu-1"}': pytest.approx(0.005),
        'inarvl_link_uplink_bytes_per_second{peer="gpu-1"}': 1e6,
        'inarvl_link_loss_ratio{peer="gpu-1"}': 0.01,
        "inarvl_questions_total": 0.0,
        "inarvl_edge_share_ratio": 0.0,
        "inarvl_accuracy_floor_ratio": 0.97,
    }


@pytest.mark.anyio
async def test_prometheus_can_parse_the_text_and_its_labels_are_limited() -> None:
    zones = {f"zone-{number}-{'x' * 200}": 40.0 for number in range(500)}
    servers = [
        {"tier": "cloud", "id": f"peer\n{number}", "healthy": False, "link": LINK} for number in range(500)
    ]
    rendered = (await metrics(Sample(temps_c=zones), servers)).render()
    families = list(text_string_to_metric_families(rendered.decode()))
    assert families
    for family in families:
        assert len(family.samples) <= MAX_LABELS
        for sample in family.samples:
            assert all(len(value) <= MAX_LABEL_LENGTH for value in sample.labels.values())


@pytest.mark.anyio
async def test_metrics_are_served_on_the_address_of_the_site_file() -> None:
    port = free_port()
    async with anyio.create_task_group() as tasks:
        settings = MetricsSettings(listen=f"127.0.0.1:{port}")
        tasks.start_soon(export, settings, lambda: b"inarvl_questions_total 1.0\n")
        async with ClientSession() as session:
            with anyio.fail_after(60):
                while True:
                    try:
                        async with session.get(f"http://127.0.0.1:{port}/metrics") as response:
                            assert await response.read() == b"inarvl_questions_total 1.0\n"
                            break
                    except OSError:
                        await anyio.sleep(0.01)
        with pytest.raises(ExporterFailed, match="choose another address"):
            await export(settings, bytes)
        tasks.cancel_scope.cancel()


@pytest.fixture
async def exported(tmp_path: Path) -> AsyncIterator[str]:
    """The URL of metrics that need a token."""
    (tmp_path / "tokens").write_text(f"{TOKEN}\n")
    port = free_port()
    settings = MetricsSettings(
        listen=f"0.0.0.0:{port}", token_file=tmp_path / "tokens", allowed_hosts=("gate-3.example.net",)
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(export, settings, lambda: b"inarvl_questions_total 1.0\n")
        with anyio.fail_after(60):
            while True:
                try:
                    await (await anyio.connect_tcp("127.0.0.1", port)).aclose()
                    break
                except OSError:
                    await anyio.sleep(0.01)
        yield f"http://127.0.0.1:{port}/metrics"
        tasks.cancel_scope.cancel()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": f"Bearer {TOKEN}"}, 200),
        ({"Authorization": f"Bearer {TOKEN}", "Host": "evil.example"}, 421),
        ({"Authorization": f"Bearer {TOKEN}", "Host": "gate-3.example.net:9464"}, 200),
    ],
)
async def test_metrics_for_other_machines_need_a_token_and_the_right_host(
    exported: str, headers: dict[str, str], status: int
) -> None:
    async with ClientSession() as session, session.get(exported, headers=headers) as response:
        assert response.status == status
        assert (b"inarvl_questions_total" in await response.read()) == (status == 200)


@pytest.mark.anyio
async def test_metrics_without_a_token_are_for_this_machine_and_its_names(tmp_path: Path) -> None:
    port = free_port()
    async with anyio.create_task_group() as tasks, ClientSession() as session:
        tasks.start_soon(export, MetricsSettings(listen=f"127.0.0.1:{port}"), lambda: b"m 1\n")
        with anyio.fail_after(60):
            for host, status in ((f"localhost:{port}", 200), ("evil.example", 421)):
                while True:
                    try:
                        headers = {"Host": host}
                        async with session.get(
                            f"http://127.0.0.1:{port}/metrics", headers=headers
                        ) as response:
                            assert response.status == status
                            break
                    except OSError:
                        await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()
    with pytest.raises(ExporterFailed, match=r"the tokens cannot be read .* \(metrics in the site file\)"):
        await export(MetricsSettings(listen=f"0.0.0.0:{port}", token_file=tmp_path / "none"), bytes)
