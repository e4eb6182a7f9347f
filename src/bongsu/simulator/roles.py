"""What kinds of servers a simulated fleet has, and what they do."""

from dataclasses import dataclass

MIB = 1024**2
GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Program:
    """A program that runs on the servers of a role. ``busy``: its part of the CPU time; ``memory``: its part of the
    memory in use; ``count``: how many processes share both."""

    name: str
    user: str
    busy: float
    memory: float
    count: int = 1
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Volume:
    """A filesystem on a device of its own. ``fill``: used share, from and to; ``growth``: share of the volume by which
    it grows before somebody makes room again."""

    mountpoint: str
    fstype: str
    gib: tuple[int, ...]
    fill: tuple[float, float]
    growth: float = 0.02


@dataclass(frozen=True, slots=True)
class Role:
    """``busiest_hour``: local time of the site. ``swing``: 0 to 0.5, how much it follows day and night. ``busy``: CPU
    usage at the busiest moments, from and to. ``memory``: share in use, from and to. ``receive``, ``send``, ``read``,
    ``write``: bytes a second of an average server. ``connections``: established ones."""

    name: str
    cores: tuple[int, ...]
    gib_per_core: tuple[int, ...]
    busiest_hour: float
    swing: float
    busy: tuple[float, float]
    memory: tuple[float, float]
    receive: float
    send: float
    read: float
    write: float
    connections: int
    programs: tuple[Program, ...]
    volumes: tuple[Volume, ...] = ()
    swap_gib: int = 0


ROOT = Volume("/", "ext4", (40, 80, 100), (0.22, 0.62))

ROLES = {
    role.name: role
    for role in (
        Role(
            "web",
            cores=(2, 4, 8),
            gib_per_core=(2, 4),
            busiest_hour=14.0,
            swing=0.45,
            busy=(0.45, 0.85),
            memory=(0.25, 0.5),
            receive=1.4 * MIB,
            send=5.2 * MIB,
            read=0.2 * MIB,
            write=0.9 * MIB,
            connections=420,
            programs=(
                Program("nginx", "www-data", 0.35, 0.15, count=4),
                Program("node", "app", 0.6, 0.7, count=2, threads=11),
            ),
            volumes=(Volume("/var/log", "ext4", (20, 40), (0.3, 0.6), growth=0.2),),
        ),
        Role(
            "api",
            cores=(4, 8, 16),
            gib_per_core=(2, 4),
            busiest_hour=14.5,
            swing=0.4,
            busy=(0.5, 0.9),
            memory=(0.4, 0.65),
            receive=3.1 * MIB,
            send=3.8 * MIB,
            read=0.1 * MIB,
            write=0.6 * MIB,
            connections=260,
            programs=(Program("java", "app", 0.92, 0.9, threads=96), Program("envoy", "envoy", 0.06, 0.05, threads=8)),
        ),
        Role(
            "worker",
            cores=(4, 8),
            gib_per_core=(2,),
            busiest_hour=2.0,
            swing=0.3,
            busy=(0.8, 0.96),
            memory=(0.35, 0.6),
            receive=6.5 * MIB,
            send=1.1 * MIB,
            read=2.4 * MIB,
            write=5.5 * MIB,
            connections=60,
            programs=(Program("python3", "worker", 0.95, 0.9, count=6, threads=4),),
            volumes=(Volume("/srv/scratch", "xfs", (100, 200), (0.15, 0.7), growth=0.25),),
            swap_gib=4,
        ),
        Role(
            "db",
            cores=(8, 16),
            gib_per_core=(4, 8),
            busiest_hour=15.0,
            swing=0.3,
            busy=(0.4, 0.8),
            memory=(0.55, 0.75),
            receive=4.2 * MIB,
            send=9.5 * MIB,
            read=14.0 * MIB,
            write=11.0 * MIB,
            connections=140,
            programs=(
                Program("postgres", "postgres", 0.93, 0.9, count=8),
                Program("pgbouncer", "postgres", 0.04, 0.02),
            ),
            volumes=(Volume("/var/lib/postgresql", "xfs", (500, 1_000, 2_000), (0.5, 0.86), growth=0.06),),
        ),
        Role(
            "cache",
            cores=(2, 4),
            gib_per_core=(8,),
            busiest_hour=14.0,
            swing=0.4,
            busy=(0.25, 0.5),
            memory=(0.65, 0.82),
            receive=7.5 * MIB,
            send=12.0 * MIB,
            read=0.02 * MIB,
            write=0.3 * MIB,
            connections=680,
            programs=(Program("redis-server", "redis", 0.95, 0.97, threads=5),),
        ),
        Role(
            "storage",
            cores=(4, 8),
            gib_per_core=(4,),
            busiest_hour=3.5,
            swing=0.2,
            busy=(0.2, 0.45),
            memory=(0.15, 0.3),
            receive=18.0 * MIB,
            send=14.0 * MIB,
            read=21.0 * MIB,
            write=26.0 * MIB,
            connections=35,
            programs=(
                Program("minio", "minio", 0.85, 0.8, threads=32),
                Program("rsync", "backup", 0.1, 0.05, count=2),
            ),
            volumes=(
                Volume("/srv/data1", "xfs", (4_000, 8_000), (0.45, 0.9), growth=0.04),
                Volume("/srv/data2", "xfs", (4_000, 8_000), (0.4, 0.8), growth=0.04),
            ),
        ),
    )
}

# Of every twenty servers. A small fleet has most roles too, and a server keeps its role when the fleet grows.
MIX = (
    *("web", "db", "cache", "worker", "api", "web", "storage", "web", "api", "worker"),
    *("web", "db", "web", "api", "worker", "web", "cache", "api", "web", "worker"),
)


@dataclass(frozen=True, slots=True)
class Site:
    """Where servers are. ``utc_offset``: in hours."""

    name: str
    utc_offset: float


SITES = (Site("seoul", 9.0), Site("frankfurt", 1.0), Site("oregon", -8.0))
# One server in five is not in production.
ENVIRONMENTS = ("production", "production", "production", "staging", "production")


@dataclass(frozen=True, slots=True)
class System:
    """An operating system and the names it gives to devices."""

    os: str
    kernel: str
    disk: str
    interface: str
    cpu_models: tuple[str, ...]
    architecture: str = "x86_64"

    def device(self, number: int) -> str:
        """``vda``, ``vdb``, ... or ``nvme0n1``, ``nvme1n1``, ..."""
        return f"nvme{number}n1" if self.disk == "nvme" else self.disk + "abcdefgh"[number]


SYSTEMS = (
    System("Debian GNU/Linux 13 (trixie)", "6.12.48+deb13-amd64", "vd", "eth0", ("AMD EPYC 7763 64-Core Processor",)),
    System(
        "Ubuntu 24.04.3 LTS",
        "6.8.0-85-generic",
        "nvme",
        "ens5",
        ("Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz", "AMD EPYC 9R14"),
    ),
    System(
        "Rocky Linux 9.6 (Blue Onyx)",
        "5.14.0-570.42.2.el9_6.x86_64",
        "sd",
        "eno1",
        ("Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz",),
    ),
    System("Ubuntu 24.04.3 LTS", "6.8.0-1038-aws", "nvme", "ens5", ("Neoverse-N1",), "aarch64"),
)
