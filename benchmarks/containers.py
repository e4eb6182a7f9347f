"""What containers cost an agent: CPU of the collector at an interval of 10 s, and memory that it adds.

``python -m benchmarks.containers [--json] [--containers 100] [--real 0] [--kubelet] [--ticks 60]``

The containers are groups of version 2 in a tree of files, all of them old enough for series of their own, with a
daemon that answers as Docker does. ``--real``: as many containers of Podman (as root) instead, with the control groups
of this machine. ``--kubelet``: they are pods, of which a kubelet tells over HTTPS, with 4 KB of ``managedFields`` each,
as real pods have. CPU is that of the collector and its frames, in a share of a core at 10 s, and includes a list and
the daemon's answer with all containers once a minute (the kubelet's every 30 s), and the walks. Memory is resident, of
a process with the collector, less that of one which imports all of the agent but this.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Iterator
from pathlib import Path

from benchmarks.report import parser, report

INTERVAL_SECONDS = 10
WARM_UP_TICKS = 3


def measure(sys_folder: str, proc: str, socket: str, ticks: int) -> dict[str, float]:
    """Runs in a process of its own. An empty ``sys_folder``: without the collector. ``socket``: its path, or a URL."""
    if not sys_folder:
        name = "bongsu.agent.collectors.containers.collector"
        stand_in = types.ModuleType(name)
        sys.modules[name] = stand_in
        stand_in.ContainersCollector = type("Nothing", (), {"name": "containers"})  # type: ignore[attr-defined]
    import bongsu.agent.daemon  # noqa: F401 (what an agent holds anyway)
    from bongsu.agent.stats import resident_bytes

    if not sys_folder:
        return {"resident_bytes": resident_bytes()}
    import psutil

    from bongsu.agent.collectors.base import Options
    from bongsu.agent.collectors.containers.collector import LIST_SECONDS, ContainersCollector
    from bongsu.agent.collectors.containers.kubelet import ASK_SECONDS
    from bongsu.agent.sampling.assembly import Assembler

    clock = time.time()
    settings: dict[str, object] = {"sockets": (socket,) if socket.startswith("/") else ()}
    if socket.startswith("https:"):
        folder = Path(sys_folder).parent
        settings |= {"kubelet": socket, "kubelet_ca_file": f"{folder}/ca.pem", "kubelet_token_file": f"{folder}/token"}
    options = Options(settings=settings, proc=proc, sys=sys_folder)
    collector = ContainersCollector(psutil, options, monotonic=lambda: clock, wall=lambda: clock)
    assembler = Assembler(lambda topic, problem: print(problem, file=sys.stderr))
    assembler.declare(collector)
    readings = 0
    began = 0.0
    for tick in range(ticks + WARM_UP_TICKS):
        if tick == WARM_UP_TICKS:
            began = time.process_time()
        # The first containers have become old enough for series by the end of the warm-up.
        clock += INTERVAL_SECONDS if tick != 1 else 600
        readings = 0
        frame = assembler.frame(int(clock * 1000), collector.collect())
        readings = len(frame.values) // 8 if frame is not None else 0
    used = time.process_time() - began
    answer = 0.0
    for daemon in collector._daemons.values():
        began = time.process_time()
        daemon._ask_for_all()
        answer = time.process_time() - began
    interval = LIST_SECONDS
    if collector._kubelet is not None:
        began, interval = time.process_time(), int(ASK_SECONDS)
        collector._kubelet._ask()
        answer = time.process_time() - began
    resident = resident_bytes()
    collector.close()
    return {
        "series": readings,
        "tick_ms": used / ticks * 1_000,
        "answer_ms": answer * 1_000,
        "share_of_a_core": used / (ticks * INTERVAL_SECONDS) + answer / interval,
        "resident_bytes": resident,
    }


def in_process(sys_folder: str, proc: str, socket: str, ticks: int) -> dict[str, float]:
    code = (
        "import json, sys; from benchmarks.containers import measure; "
        "print(json.dumps(measure(*sys.argv[1:4], int(sys.argv[4]))))"
    )
    command = [sys.executable, "-c", code, sys_folder, proc, socket, str(ticks)]
    environment = os.environ | {"PYTHONOPTIMIZE": "2", "MALLOC_ARENA_MAX": "1"}
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment, timeout=600).stdout
    result: dict[str, float] = json.loads(output)
    return result


@contextlib.contextmanager
def made(folder: Path, containers: int) -> Iterator[tuple[str, str, str]]:
    """Where sysfs, /proc and the socket are."""
    from tests.support.cgroup_trees import Tree, full_id
    from tests.support.stub_docker import StubDocker

    tree, docker = Tree(folder), StubDocker(folder / "docker.sock")
    devices = "\n\n    lo: 1 1 0 0 0 0 0 0 1 1\n  eth0: 2000 1 0 0 0 0 0 0 3000 1\n"
    for number in range(containers):
        tree.group(f"/system.slice/docker-{full_id(number)}.scope", cpu=number, limit=2**30, pids=(1000 + number,))
        tree.process(1000 + number, devices)
        docker.add(full_id(number), f"service-{number}", image=f"registry.example/team/service-{number % 20}:1.0")
    yield str(tree.sys), str(tree.proc), str(docker.path)
    docker.close()


@contextlib.contextmanager
def pods(folder: Path, count: int) -> Iterator[tuple[str, str, str]]:
    """The same with pods of one container."""
    from tests.support.cgroup_trees import Tree
    from tests.support.stub_kubelet import TOKEN, StubKubelet, group_of, make_authority, pod

    tree, kubelet = Tree(folder), StubKubelet(make_authority(folder))
    (folder / "token").write_text(TOKEN)
    devices = "\n\n    lo: 1 1 0 0 0 0 0 0 1 1\n  eth0: 2000 1 0 0 0 0 0 0 3000 1\n"
    for number in range(count):
        owner = ("ReplicaSet", f"service-{number % 20}-5d4f8c7b9d")
        made = pod(number, f"service-{number % 20}-5d4f8c7b9d-{number:05}", owner=owner, hash="5d4f8c7b9d")
        made["metadata"]["managedFields"] = [{"fieldsV1": {f"f:field-{index}": {".": {}} for index in range(170)}}]
        kubelet.pods.append(made)
        tree.group(group_of(number), cpu=number, limit=2**30, pids=(1000 + number,))
        tree.process(1000 + number, devices)
    yield str(tree.sys), str(tree.proc), kubelet.url
    kubelet.close()


@contextlib.contextmanager
def real(containers: int) -> Iterator[tuple[str, str, str]]:
    from tests.support.podman import running_podman

    with running_podman() as podman:
        for number in range(containers):
            podman.run(f"service-{number}", "while :; do sleep 1; done", "--memory", "64m")
        yield "/sys", "/proc", str(podman.socket)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--containers", type=int, default=100)
    arguments.add_argument("--real", type=int, default=0)
    arguments.add_argument("--kubelet", action="store_true")
    arguments.add_argument("--ticks", type=int, default=60)
    options = arguments.parse_args()
    count = options.real or options.containers
    without = in_process("", "", "", options.ticks)
    with tempfile.TemporaryDirectory() as name:
        make = pods if options.kubelet else made
        containers = real(options.real) if options.real else make(Path(name), options.containers)
        with containers as (sys_folder, proc, socket):
            told = in_process(sys_folder, proc, socket, options.ticks)
            alone = in_process(sys_folder, proc, "", options.ticks)
    added = told["resident_bytes"] - without["resident_bytes"]
    results = {
        "containers": count,
        "series": told["series"],
        "tick_ms": told["tick_ms"],
        "answer_ms": told["answer_ms"],
        "percent_of_a_core": told["share_of_a_core"] * 100,
        "percent_of_a_core_without_daemon": alone["share_of_a_core"] * 100,
        "microseconds_per_container": told["tick_ms"] * 1000 / count,
        "added_megabytes": added / 1e6,
    }
    report("containers", results, as_json=options.json)


if __name__ == "__main__":
    main()
