"""The committed generated code is what the schema makes today."""

from pathlib import Path

import bongsu.wire
from bongsu.wire.generate import generate


def test_generated_python_is_up_to_date(tmp_path: Path) -> None:
    generate(tmp_path)
    folder = Path(bongsu.wire.__file__).parent
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert set(made) == {"metrics_pb2.py", "metrics_pb2.pyi"}
    assert made == {name: (folder / name).read_text() for name in made}, "run `make proto`"
