"""Where daemons of containers listen."""

import glob
import os
import stat

# /var/run is a link to /run, which leads elsewhere in a container that has the host's root mounted.
PATTERNS = (
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/run/podman/podman.sock",
    "/run/user/*/docker.sock",
    "/run/user/*/podman/podman.sock",
)
# Of all users of a machine, and of what a setting may name.
MAX_SOCKETS = 16


def find_sockets(configured: tuple[str, ...] | None, root: str = "") -> list[str]:
    """The sockets that exist. ``configured``: None: the usual places. ``root``: where the host's root is mounted."""
    paths = configured if configured is not None else [path for each in PATTERNS for path in glob.glob(root + each)]
    found: dict[str, str] = {}
    for path in paths:
        try:
            if stat.S_ISSOCK(os.stat(path).st_mode):
                # The package podman-docker makes one a link to the other.
                found.setdefault(os.path.realpath(path), path)
        except OSError:  # there is none, or only its user may look
            continue
    return list(found.values())[:MAX_SOCKETS]
