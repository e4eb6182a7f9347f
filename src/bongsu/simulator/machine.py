"""One simulated machine: what it is. It follows from the seed and its place in the fleet alone."""

from dataclasses import dataclass

import numpy as np

from bongsu.core.samples import HostFacts
from bongsu.simulator.load_curve import ORIGIN_SECONDS, LoadCurve, load_curve
from bongsu.simulator.roles import ENVIRONMENTS, GIB, MIX, ROLES, ROOT, SITES, SYSTEMS, Role, System, Volume
from bongsu.simulator.trouble import Trouble

# The kernel keeps some of the memory for itself.
USABLE_MEMORY = 0.977
# A machine was started in the year after the origin, so that no clock is behind it.
LATEST_BOOT_SECONDS = 365 * 86_400.0


@dataclass(frozen=True, slots=True)
class MountedVolume:
    """``fill``: used share when it is emptiest. ``cycle_seconds``: after how long somebody makes room."""

    volume: Volume
    device: str
    bytes: float
    fill: float
    cycle_seconds: float
    cycle_start: float


@dataclass(frozen=True, slots=True)
class Machine:
    """``busiest``: CPU usage that it never exceeds. ``strength``: how much traffic it has beside an average server of
    its role. ``offset``: where it begins in the capture, in seconds."""

    index: int
    name: str
    role: Role
    tags: dict[str, str]
    system: System
    facts: HostFacts
    curve: LoadCurve
    busiest: float
    memory: float
    strength: float
    offset: float
    link_bits: float
    volumes: tuple[MountedVolume, ...]
    troubles: tuple[Trouble, ...] = ()

    @property
    def cores(self) -> int:
        return self.facts.cpu_count

    @property
    def boot_seconds(self) -> float:
        return self.facts.boot_time_ms / 1000


def machine_name(index: int, prefix: str) -> str:
    """The name of the machine at this place of the fleet."""
    return f"{prefix}{MIX[index % len(MIX)]}-{_number(index):02}"


def _number(index: int) -> int:
    """Among the machines of its role, from 1."""
    rounds, place = divmod(index, len(MIX))
    return 1 + rounds * MIX.count(MIX[place]) + MIX[:place].count(MIX[place])


def make_machine(index: int, *, seed: int, prefix: str = "", troubles: tuple[Trouble, ...] = ()) -> Machine:
    """The machine at this place of the fleet, counted from 0."""
    random = np.random.default_rng((seed, index))
    place = index % len(MIX)
    role = ROLES[MIX[place]]
    number = _number(index)
    # Each role is at every site.
    site = SITES[(number - 1 + place) % len(SITES)]
    environment = ENVIRONMENTS[int(random.integers(len(ENVIRONMENTS)))]
    system = SYSTEMS[int(random.integers(len(SYSTEMS)))]
    cores = int(random.choice(role.cores))
    memory_bytes = int(cores * int(random.choice(role.gib_per_core)) * GIB * USABLE_MEMORY)
    name = machine_name(index, prefix)
    facts = HostFacts(
        hostname=name,
        os=system.os,
        kernel=system.kernel,
        architecture=system.architecture,
        cpu_model=str(random.choice(system.cpu_models)),
        cpu_count=cores,
        memory_total_bytes=memory_bytes,
        boot_time_ms=int(ORIGIN_SECONDS + random.uniform(0.0, LATEST_BOOT_SECONDS)) * 1000,
    )
    volumes = (ROOT, *role.volumes)
    return Machine(
        index,
        name,
        role,
        {"env": environment, "role": role.name, "site": site.name},
        system,
        facts,
        load_curve(role.busiest_hour - site.utc_offset, role.swing, random),
        busiest=float(random.uniform(*role.busy)),
        memory=float(random.uniform(*role.memory)),
        strength=float(random.uniform(0.6, 1.4)),
        offset=float(random.integers(0, 3_000)),
        link_bits=1e10 if role.name in ("db", "cache", "storage") else 1e9,
        volumes=tuple(_mounted(volume, system.device(place), random) for place, volume in enumerate(volumes)),
        troubles=troubles,
    )


def _mounted(volume: Volume, device: str, random: np.random.Generator) -> MountedVolume:
    cycle_seconds = float(random.uniform(6, 40)) * 86_400
    return MountedVolume(
        volume,
        device,
        float(random.choice(volume.gib)) * GIB,
        float(random.uniform(*volume.fill)),
        cycle_seconds,
        float(random.uniform(0, cycle_seconds)),
    )
