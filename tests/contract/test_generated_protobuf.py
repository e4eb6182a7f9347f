"""The committed generated code is up to date with the schema."""

from pathlib import Path

import bongsu.wire
from bongsu.wire.generate import generate


def test_generated_python_is_up_to_date(tmp_path: Path) -> None:
    generate(tmp_path)
    folder = Path(bongsu.wire.__file__).parent
    generated = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert set(generated) == {path.name for path in folder.glob("*_pb2.py*")}
    assert generated == {name: (folder / name).read_text() for name in generated}, "run `make proto`"
