"""``python -m bongsu.agent`` is the same as ``bongsu agent``."""

import sys

from bongsu.agent.main import main

sys.exit(main(sys.argv[1:]))
