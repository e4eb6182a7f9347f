"""Numbers of a container from trees of both versions of control groups."""

import math
import os
from pathlib import Path

import pytest

from bongsu.agent.collectors.containers.groups import Group
from bongsu.agent.collectors.containers.usage import GroupFiles, Traffic, Usage
from tests.support.cgroup_trees import MiB, Tree, full_id

ID = full_id(1)
GROUP = Group(ID, "docker", f"/docker/{ID}")
DEVICES = (
    "Inter-|\n face |\n    lo: 100 1 0 0 0 0 0 0 100 1\n  eth0: 2000 1 0 0 0 0 0 0 3000 1\n  eth1:1 0 0 0 0 0 0 0 2 0\n"
)


def files_of(tree: Tree) -> GroupFiles:
    return GroupFiles(str(tree.proc), str(tree.sys))


@pytest.mark.parametrize("version", [1, 2])
def test_all_numbers(tmp_path: Path, version: int) -> None:
    tree = Tree(tmp_path, version)
    tree.group(
        GROUP.path, cpu=12.5, memory=10 * MiB, inactive=4 * MiB, limit=64 * MiB, oom_kills=2, periods=100, throttled=25,
        read=4096, written=8192, processes=7, pids=(40, 41),
    )  # fmt: skip
    tree.process(40, DEVICES)
    files = files_of(tree)
    assert files.find() == {ID: GROUP}
    assert files.usage(GROUP) == Usage(12.5, 100, 25, 6 * MiB, 64 * MiB, 2, 7)
    assert files.traffic(GROUP) == Traffic(4096, 8192, 2001, 3002)
    assert files.created_ms(GROUP) > 0


@pytest.mark.parametrize("version", [1, 2])
def test_a_group_that_is_gone(tmp_path: Path, version: int) -> None:
    files = files_of(Tree(tmp_path, version))
    assert files.usage(GROUP) is None
    assert files.created_ms(GROUP) == 0
    assert files.first_process(GROUP) == 0


@pytest.mark.parametrize("version", [1, 2])
def test_no_limit(tmp_path: Path, version: int) -> None:
    tree = Tree(tmp_path, version)
    tree.group(GROUP.path)
    usage = files_of(tree).usage(GROUP)
    assert usage is not None
    assert usage.memory_limit_bytes == 0


def test_a_kernel_without_some_controllers_leaves_numbers_out(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    folder = tree.sys / "fs/cgroup" / GROUP.path.lstrip("/")
    folder.mkdir(parents=True)
    (folder / "cpu.stat").write_text("usage_usec 2000000\n")
    usage = files_of(tree).usage(GROUP)
    assert usage is not None
    assert usage.cpu_seconds == 2
    assert math.isnan(usage.memory_bytes)
    assert math.isnan(usage.processes)


def test_a_container_in_the_network_of_the_host_has_no_traffic(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.group(GROUP.path, pids=(40,))
    tree.process(40, (tree.proc / "1/net/dev").read_text())
    files = files_of(tree)
    assert math.isnan(files.traffic(GROUP).received)
    assert math.isnan(files.traffic(GROUP).received)
    # With links that can be read, they decide.
    for pid in (1, 40):
        (tree.proc / str(pid) / "ns").mkdir()
        os.symlink(f"net:[{pid}]", tree.proc / str(pid) / "ns/net")
    assert files_of(tree).traffic(GROUP).received == 10


def test_the_first_process_may_be_in_a_group_below(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.group(GROUP.path)
    tree.group(f"{GROUP.path}/container", pids=(0, 77, 60))
    assert files_of(tree).first_process(GROUP) == 60
