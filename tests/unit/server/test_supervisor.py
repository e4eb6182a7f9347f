"""The process that stays to watch the others."""

import subprocess
import sys


def test_it_loads_nothing_but_the_standard_library() -> None:
    program = (
        "import sys; before = set(sys.modules); import bongsu.server.supervisor\n"
        "names = {name.partition('.')[0] for name in sys.modules.keys() - before}\n"
        "print(names - set(sys.stdlib_module_names))"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "{'bongsu'}"
