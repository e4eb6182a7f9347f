"""What keeps Bongsu from starting is said in one line, with a way out, and an exit status."""

import contextlib
import os
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import bongsu, free_port

pytestmark = pytest.mark.skipif(os.name != "posix", reason="file permissions and processes of POSIX")

ROLES = [
    pytest.param(["up"], id="up"),
    pytest.param(["server"], id="server"),
    pytest.param(["server", "--role", "api"], id="API server"),
    pytest.param(["server", "--role", "worker"], id="worker"),
]
WITH_API = ROLES[:3]


def refused(*arguments: str, **environment: str) -> str:
    """What Bongsu says when it does not start."""
    with bongsu(*arguments, BONGSU_LOG_LEVEL=environment.pop("BONGSU_LOG_LEVEL", "WARNING"), **environment) as process:
        output = process.communicate(timeout=90)[0]
    assert process.returncode == 2, output
    (line,) = output.splitlines()
    assert line.startswith((f"bongsu {arguments[0]}: ", "bongsu server: "))
    return line


@contextlib.contextmanager
def taken_port() -> Iterator[str]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield str(other.getsockname()[1])


@pytest.mark.parametrize("command", WITH_API)
@pytest.mark.parametrize(
    ("email", "password", "texts"),
    [
        pytest.param("a@bongsu.test", "short", ("at least 10 characters", "BONGSU_ADMIN_PASSWORD"), id="short"),
        pytest.param("a@bongsu.test", "password1234", ("too easy to guess", "BONGSU_ADMIN_PASSWORD"), id="easy"),
        pytest.param("nobody", "a long enough secret", ("email address", "BONGSU_ADMIN_EMAIL"), id="no address"),
    ],
)
def test_a_first_account_that_cannot_be(
    tmp_path: Path, command: list[str], email: str, password: str, texts: tuple[str, ...]
) -> None:
    where = ["--port", str(free_port()), "--data-dir", str(tmp_path)]
    line = refused(*command, *where, BONGSU_ADMIN_EMAIL=email, BONGSU_ADMIN_PASSWORD=password)
    assert all(text in line for text in texts)
    assert password not in line


@pytest.mark.parametrize("command", ROLES)
@pytest.mark.parametrize(
    ("variables", "text"),
    [
        pytest.param({"BONGSU_LIMITS__BYTES": "1"}, "There is no setting limits.bytes", id="unknown key"),
        pytest.param({"BONGSU_CONNECTIONS": "many"}, "connections: ", id="wrong type"),
        pytest.param({"BONGSU_TRUSTED_PROXIES": "10.0.0.0/8"}, "BONGSU_TRUSTED_PROXIES: must be JSON", id="no JSON"),
        pytest.param({"BONGSU_REDIS_URL": "http://x"}, "redis_url: must begin with redis://", id="no URL of Redis"),
        pytest.param({"BONGSU_LOG_LEVEL": "loud"}, "BONGSU_LOG_LEVEL: must be debug", id="log level"),
        pytest.param({"BONGSU_DATABASE_URL": "mysql://a@b/c"}, "mysql is not supported", id="unsupported database"),
        pytest.param(
            {"BONGSU_DATABASE_URL": "postgresql://somebody:s3cret@127.0.0.1:1/bongsu"},
            "Cannot open the database postgresql://somebody:***@127.0.0.1:1/bongsu",
            id="unreachable database",
        ),
    ],
)
def test_settings_that_cannot_be(tmp_path: Path, command: list[str], variables: dict[str, str], text: str) -> None:
    line = refused(*command, "--port", str(free_port()), "--data-dir", str(tmp_path), **variables)
    assert text in line
    assert "s3cret" not in line


@pytest.mark.parametrize("command", WITH_API)
def test_a_taken_port(tmp_path: Path, command: list[str]) -> None:
    with taken_port() as port:
        line = refused(*command, "--port", port, "--data-dir", str(tmp_path))
    assert f"Port {port} on 127.0.0.1 is taken by " in line
    assert f"--port {int(port) + 1}" in line


@pytest.mark.parametrize("command", ROLES)
def test_a_data_directory_that_cannot_be_written(tmp_path: Path, command: list[str]) -> None:
    # Root may write everywhere but into a file.
    (tmp_path / "file").touch()
    line = refused(*command, "--port", str(free_port()), "--data-dir", str(tmp_path / "file" / "data"))
    assert f"Cannot write to {tmp_path / 'file' / 'data'}: Not a directory" in line
    assert "--data-dir" in line


@pytest.mark.parametrize("command", ROLES)
def test_a_database_of_a_newer_version(tmp_path: Path, command: list[str]) -> None:
    with bongsu("db", "upgrade", "--data-dir", str(tmp_path)) as process:
        assert process.wait() == 0
    with contextlib.closing(sqlite3.connect(tmp_path / "bongsu.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
    line = refused(*command, "--port", str(free_port()), "--data-dir", str(tmp_path))
    assert "9999" in line
    assert "upgrade Bongsu" in line


@pytest.mark.parametrize("command", ROLES)
def test_a_file_that_is_no_database(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "bongsu.db").write_bytes(b"nothing" * 1000)
    line = refused(*command, "--port", str(free_port()), "--data-dir", str(tmp_path))
    assert f"{tmp_path / 'bongsu.db'} (database_url): file is not a database" in line
