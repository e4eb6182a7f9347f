"""The agent's identity and the facts about its machine.

The agent generates a UUID, ``agent_id``, and keeps it in ``identity.json`` in the data directory. The file also holds
the machine's id (``/etc/machine-id`` or a substitute), which is never sent. If a disk image with this file starts on a
machine with another id, the agent generates a new UUID, so that two machines never share one history.
"""

import json
import os
import socket
import sys
from typing import NamedTuple

from bongsu.agent.collectors.base import Ps
from bongsu.agent.collectors.host import find_host
from bongsu.agent.data_dir import make_data_dir, write_private_json
from bongsu.core.errors import ConfigError
from bongsu.core.samples import HostFacts
from bongsu.core.text import visible

FILE = "identity.json"


class Identity(NamedTuple):
    """``notice``: why the agent has a new identity, for the log; empty if the stored one is used."""

    agent_id: str
    notice: str = ""


def load_identity(data_dir: str, machine: str) -> Identity:
    """Reads the identity, or makes a new one.

    Raises:
        ConfigError: the data directory cannot be used.
    """
    path = os.path.join(data_dir, FILE)
    try:
        make_data_dir(data_dir)
        try:
            with open(path, encoding="utf-8") as file:
                stored = json.load(file)
        except FileNotFoundError:
            return Identity(_make(path, machine))
        except ValueError:
            stored = None
        agent_id = stored.get("agent_id") if isinstance(stored, dict) else None
        if not isinstance(agent_id, str) or len(agent_id) != 36:
            return Identity(_make(path, machine), f"{path} was damaged; this machine will appear as a new server.")
        if machine and stored.get("machine") not in (machine, "", None):
            return Identity(
                _make(path, machine),
                f"{path} comes from another machine (a cloned disk?), so this machine gets a new identity.",
            )
        return Identity(agent_id)
    except OSError as error:
        raise ConfigError(
            f"The data directory {data_dir} cannot be used: {error.strerror}. Choose another with --data-dir."
        ) from None


def _make(path: str, machine: str) -> str:
    agent_id = uuid4()
    write_private_json(path, {"agent_id": agent_id, "machine": machine})
    return agent_id


def uuid4() -> str:
    """A random UUID. The uuid module would cost 0.3 MB."""
    digits = bytearray(os.urandom(16))
    digits[6] = digits[6] & 0x0F | 0x40
    digits[8] = digits[8] & 0x3F | 0x80
    text = digits.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def machine_id() -> str:
    """The operating system's id of this machine; empty if it has none."""
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id", "/etc/hostid"):
        try:
            with open(path, "rb") as file:
                content = file.read(256).strip()
        except OSError:
            continue
        if content and content != b"uninitialized":
            return content.decode("ascii", "replace")
    return ""


def host_facts(ps: Ps) -> HostFacts:
    system, kernel, architecture = _system()
    return HostFacts(
        hostname=visible(socket.gethostname()),
        os=visible(system),
        kernel=visible(kernel),
        architecture=visible(architecture),
        cpu_model=visible(_cpu_model()),
        cpu_count=ps.cpu_count() or 0,
        memory_total_bytes=ps.virtual_memory().total,
        boot_time_ms=round(ps.boot_time()) * 1000,
    )


def _system() -> tuple[str, str, str]:
    """Name, kernel release and architecture. The platform module costs 0.9 MB, so it is not used on Linux."""
    if sys.platform == "linux":
        return _distribution(), os.uname().release, os.uname().machine
    import platform

    name = f"macOS {platform.mac_ver()[0]}" if sys.platform == "darwin" else f"{platform.system()} {platform.release()}"
    return name.strip(), platform.version() if sys.platform == "win32" else platform.release(), platform.machine()


def _distribution() -> str:
    root = find_host().root
    for path in (f"{root}/etc/os-release", f"{root}/usr/lib/os-release"):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                fields = dict(line.rstrip().split("=", 1) for line in file if "=" in line)
        except OSError:
            continue
        name = fields.get("PRETTY_NAME", "").strip("\"'")
        if name:
            return name
    return "Linux"


def _cpu_model() -> str:
    if sys.platform != "linux":
        import platform

        return platform.processor()
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                key, _, value = line.partition(":")
                if key.strip() in ("model name", "Model", "cpu model", "Processor"):
                    return " ".join(value.split())
    except OSError:
        return ""
    return ""
