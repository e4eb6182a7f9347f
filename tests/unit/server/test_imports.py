"""What the processes load only when they use it: an idle Bongsu should fit on a small machine."""

import subprocess
import sys

import pytest

# What only some installations use, or seldom: to send, to draw, to log in, to export, to upgrade, other databases.
SELDOM = (
    "PIL",
    "aiosmtplib",
    "alembic",
    "apprise",
    "asyncpg",
    "authlib",
    "httpx",
    "jinja2",
    "jwt",
    "matplotlib",
    "arro3",
    "redis",
    "segno",
)


@pytest.mark.parametrize(
    ("module", "more"),
    [
        pytest.param("bongsu.server.worker", ("fastapi", "uvicorn", "starlette", "cryptography.fernet"), id="worker"),
        pytest.param("bongsu.server.app", (), id="API server"),
    ],
)
def test_what_is_seldom_used_is_not_loaded_at_the_start(module: str, more: tuple[str, ...]) -> None:
    program = f"import sys, {module}; print(*[name for name in {(*SELDOM, *more)} if name in sys.modules])"
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert output.split() == []
