"""The limits of a container or slice count, in both versions and nested; those of the service do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.sensing.cgroup import CgroupLimits, cgroup_limits
from agent.sensing.processor import Processor

MIB = 2**20


def limits(root: Path, own: str, **files: object) -> CgroupLimits:
    """Writes control groups; a file's name has its folders separated by __."""
    (root / "proc" / "self").mkdir(parents=True)
    (root / "proc" / "self" / "cgroup").write_text(own)
    for path, content in files.items():
        file = root / "sys" / "fs" / "cgroup" / path.replace("__", "/").replace("_DOT_", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{content}\n")
    return cgroup_limits(root / "proc", root / "sys")


def v2(prefix: str = "", **files: object) -> dict[str, object]:
    return {f"{prefix}{name.replace('_', '_DOT_', 1)}": content for name, content in files.items()}


def test_no_control_group_limits_nothing(tmp_path: Path) -> None:
    assert limits(tmp_path, "0::/\n") == CgroupLimits()
    assert cgroup_limits(tmp_path / "x", tmp_path / "y") == CgroupLimits()


def test_memory_that_a_container_may_still_use(tmp_path: Path) -> None:
    """What the kernel can reclaim is available: 512 - (400 - 100) MiB."""
    files = v2(
        memory_max=512 * MIB, memory_current=400 * MIB, memory_stat=f"anon 1\ninactive_file {100 * MIB}"
    )
    assert limits(tmp_path, "0::/\n", **files, **v2(cpu_max="150000 100000")) == CgroupLimits(212.0, 1.5)


def test_the_lowest_limit_of_nested_groups_counts(tmp_path: Path) -> None:
    files = {
        **v2("a_DOT_slice__", memory_max=900 * MIB, memory_current=100 * MIB, cpu_max="max 100000"),
        **v2("a_DOT_slice__b_DOT_slice__", memory_max="max", memory_high=500 * MIB, memory_current=90 * MIB),
        **v2("a_DOT_slice__b_DOT_slice__c__", memory_max=2000 * MIB, memory_current=1 * MIB),
    }
    assert limits(tmp_path, "0::/a.slice/b.slice/c\n", **files) == CgroupLimits(410.0, None)


def test_the_agents_own_service_does_not_limit_the_model_server(tmp_path: Path) -> None:
    files = {
        **v2("system_DOT_slice__inarvl-agent_DOT_service__", memory_max=200 * MIB, memory_current=100 * MIB),
        **v2("system_DOT_slice__", memory_max=3000 * MIB, memory_current=1000 * MIB),
    }
    assert limits(tmp_path, "0::/system.slice/inarvl-agent.service\n", **files).memory_available_mb == 2000.0


def test_a_container_sees_only_the_top_of_its_groups(tmp_path: Path) -> None:
    """Without a namespace of its own it reads a path of the host, which does not exist in it."""
    files = v2(memory_max=300 * MIB, memory_current=100 * MIB)
    assert limits(tmp_path, "0::/docker/0123abc\n", **files).memory_available_mb == 200.0


def test_the_first_version_is_read_too(tmp_path: Path) -> None:
    files: dict[str, object] = {
        "memory__docker__abc__memory_DOT_limit_in_bytes": 400 * MIB,
        "memory__docker__abc__memory_DOT_usage_in_bytes": 300 * MIB,
        "memory__docker__abc__memory_DOT_stat": f"total_inactive_file {50 * MIB}",
        "memory__memory_DOT_limit_in_bytes": 9223372036854771712,
        "memory__memory_DOT_usage_in_bytes": 5000 * MIB,
        "cpu,cpuacct__docker__abc__cpu_DOT_cfs_quota_us": 50000,
        "cpu,cpuacct__docker__abc__cpu_DOT_cfs_period_us": 100000,
        "cpu,cpuacct__cpu_DOT_cfs_quota_us": -1,
        "cpu,cpuacct__cpu_DOT_cfs_period_us": 100000,
    }
    own = "7:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n1:name=systemd:/docker/abc\n"
    assert limits(tmp_path, own, **files) == CgroupLimits(150.0, 0.5)


@pytest.mark.parametrize("content", ["", "x", "0::", "0::/../../etc", "9:memory", ":::::", "0::/a\0b"])
def test_a_strange_list_of_groups_limits_nothing(tmp_path: Path, content: str) -> None:
    assert limits(tmp_path, content, **v2("etc__", memory_max=1, memory_current=1)) == CgroupLimits()


def test_the_processor_reports_what_the_container_leaves(tmp_path: Path) -> None:
    files = v2(memory_max=512 * MIB, memory_current=112 * MIB, cpu_max="100000 100000")
    limits(tmp_path, "0::/\n", **files)
    (tmp_path / "proc" / "meminfo").write_text("MemAvailable: 8000000 kB\n")
    cpu = tmp_path / "sys" / "devices" / "system" / "cpu"
    cpu.mkdir(parents=True)
    (cpu / "online").write_text("0-3\n")
    sample = Processor(proc=tmp_path / "proc", sysfs=tmp_path / "sys").sample()
    assert (sample.memory_available_mb, sample.cpu_quota, sample.cpus_online) == (400.0, 0.25, 4)
