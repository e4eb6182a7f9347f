"""Which groups are containers."""

from pathlib import Path

import pytest

from bongsu.agent.collectors.containers.groups import find_groups, identify, short_id
from bongsu.agent.collectors.containers.usage import GroupFiles
from tests.support.cgroup_trees import Tree, full_id

ID = full_id(0xABC)
USER = "/user.slice/user-1000.slice/user@1000.service/user.slice"
POD = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice"


@pytest.mark.parametrize(
    ("path", "runtime", "id"),
    [
        (f"/system.slice/docker-{ID}.scope", "docker", ID),
        (f"/docker/{ID}", "docker", ID),
        (f"/machine.slice/libpod-{ID}.scope", "podman", ID),
        (f"/libpod_parent/libpod-{ID}", "podman", ID),
        (f"{USER}/libpod-{ID}.scope", "podman", ID),
        (f"{POD}/cri-containerd-{ID}.scope", "kubernetes", ID),
        (f"{POD}/crio-{ID}.scope", "kubernetes", ID),
        (f"/kubepods/burstable/pod12-34/{ID}", "kubernetes", ID),
        (f"/ecs/0123456789abcdef/{ID}", "docker", ID),
        (f"/somewhere/{ID}", "containerd", ID),
        ("/lxc.payload.web", "lxc", "web"),
        ("/lxc/web", "lxc", "web"),
        ("/machine.slice/machine-my\\x2dmachine.scope", "nspawn", "my-machine"),
        ("/machine.slice/systemd-nspawn@db.service", "nspawn", "db"),
    ],
)
def test_names_that_runtimes_give(path: str, runtime: str, id: str) -> None:
    group = identify(path)
    assert group is not None
    assert (group.runtime, group.id, group.path) == (runtime, id, path)


@pytest.mark.parametrize(
    "path",
    [
        f"/machine.slice/libpod-conmon-{ID}.scope",
        f"{POD}/crio-conmon-{ID}.scope",
        "/machine.slice/machine-qemu\\x2d1\\x2ddesktop.scope",
        "/lxc.monitor.web",
        "/system.slice/docker.service",
        f"/docker/{ID[:63]}",
        f"/system.slice/docker-{ID[:12]}.scope",
    ],
)
def test_what_is_no_container(path: str) -> None:
    assert identify(path) is None


def test_nothing_below_a_container_is_looked_at(tmp_path: Path) -> None:
    inner = full_id(2)
    for path in (f"docker/{ID}/docker/{inner}", "system.slice/cron.service", "lxc.payload.web/system.slice/a.service"):
        (tmp_path / path).mkdir(parents=True)
    assert {group.path for group in find_groups(str(tmp_path))} == {f"/docker/{ID}", "/lxc.payload.web"}


def test_a_tree_that_is_not_there(tmp_path: Path) -> None:
    assert list(find_groups(str(tmp_path / "none"))) == []
    assert GroupFiles("/proc", str(tmp_path)).find() == {}


def test_short_ids() -> None:
    assert short_id(ID) == "000000000abc"
    assert short_id("web") == "web"
    first, second = short_id("customer-database-1"), short_id("customer-database-2")
    assert first != second
    assert len(first) == len(second) == 12


def test_the_container_that_only_holds_the_network_of_a_pod_is_left_out(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.process(50, "", comm="pause")
    tree.process(51, "", comm="nginx")
    tree.group(f"{POD}/cri-containerd-{full_id(1)}.scope", pids=(50,))
    tree.group(f"{POD}/cri-containerd-{full_id(2)}.scope", pids=(51,))
    assert list(GroupFiles(str(tree.proc), str(tree.sys)).find()) == [full_id(2)]
