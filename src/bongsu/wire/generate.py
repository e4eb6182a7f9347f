"""Generates ``metrics_pb2.py`` and its stub from ``proto/metrics.proto``: ``python -m bongsu.wire.generate [FOLDER]``.

Needs grpcio-tools, a development dependency. A test compares the committed files with newly generated ones.
"""

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
    status = protoc.main(
        ["protoc", f"-I{REPOSITORY / 'proto'}", f"--python_out={folder}", f"--pyi_out={folder}", "metrics.proto"]
    )
    if status:
        raise RuntimeError(f"protoc ended with {status}")


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
