"""Generates a module and its stub from each file in ``proto/``: ``python -m bongsu.wire.generate [FOLDER]``.

Needs grpcio-tools, a development dependency. A test compares the committed files with newly generated ones.
"""

import re
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]


def generate(folder: Path) -> None:
    """Writes the generated files into ``folder``.

    Raises:
        RuntimeError: protoc rejected the schema and printed the reason on standard error.
    """
    from grpc_tools import protoc

    folder.mkdir(parents=True, exist_ok=True)
    names = sorted(path.name for path in (REPOSITORY / "proto").glob("*.proto"))
    status = protoc.main(
        ["protoc", f"-I{REPOSITORY / 'proto'}", f"--python_out={folder}", f"--pyi_out={folder}", *names]
    )
    if status:
        raise RuntimeError(f"protoc ended with {status}")
    for path in folder.glob("*_pb2.py*"):
        # protoc imports the modules of other files from the top.
        path.write_text(re.sub(r"^import (\w+_pb2) as", r"from bongsu.wire import \1 as", path.read_text(), flags=re.M))


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
