"""What the images hold: deploy/docker/rootfs.py, as far as it can be seen without building one."""

import importlib.util
import sys
import sysconfig
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.repository import REPOSITORY


@pytest.fixture
def rootfs() -> ModuleType:
    spec = importlib.util.spec_from_file_location("rootfs", REPOSITORY / "deploy/docker/rootfs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_libraries_are_compiled_only_and_ours_keeps_its_source(
    rootfs: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdlib, site = tmp_path / "usr/lib/python3", tmp_path / "opt/site-packages"
    for file, text in (
        (stdlib / "os.py", ""),
        (site / "a_library/__init__.py", "from a_library.deep import ANSWER"),
        (site / "a_library/deep.py", "ANSWER = 42"),
        (site / "a_library/template.py", "{{ not Python }}{"),
        (site / "bongsu/__init__.py", ""),
    ):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    rootfs.compile_python(tmp_path, stdlib, site)
    kept = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*.py")}
    assert kept == {
        "usr/lib/python3/os.py",
        "opt/site-packages/bongsu/__init__.py",
        "opt/site-packages/a_library/template.py",
    }
    tag = sys.implementation.cache_tag
    assert (site / f"bongsu/__pycache__/__init__.{tag}.pyc").is_file()
    monkeypatch.syspath_prepend(str(site))
    import a_library  # type: ignore[import-not-found]

    assert a_library.ANSWER == 42


@pytest.mark.parametrize(
    ("folder", "name", "is_left_out"),
    [
        pytest.param(
            "/opt/x/PIL", "_avif.cpython-313-x86_64-linux-gnu.so", True, id="a format of pictures that nobody draws"
        ),
        pytest.param("/opt/x/PIL", "_imaging.cpython-313-x86_64-linux-gnu.so", False, id="what draws"),
        pytest.param("/opt/x/numpy/_core", "_simd.cpython-313-x86_64-linux-gnu.so", True, id="for tests of numpy"),
        pytest.param("/opt/x/numpy/_core", "_multiarray_umath.cpython-313-x86_64-linux-gnu.so", False, id="numpy"),
        pytest.param("/opt/x/lib/python3.13/site-packages", "pygments", True, id="colours of code"),
        pytest.param(sysconfig.get_path("stdlib"), "dist-packages", True, id="packages of the system"),
        pytest.param("/opt/x/redis", "client.py", False, id="a module"),
    ],
)
def test_what_is_left_out(rootfs: ModuleType, folder: str, name: str, is_left_out: bool) -> None:
    assert (name in rootfs.unused(folder, [name, "other.py"])) is is_left_out
