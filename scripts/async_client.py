"""Writes the asynchronous client from the synchronous one: python -m scripts.async_client"""

import re
import subprocess
import sys
from pathlib import Path

CLIENT = Path(__file__).parents[1] / "src" / "bongsu" / "client"
SOURCE, TARGET = CLIENT / "synchronous.py", CLIENT / "asynchronous.py"

_CHANGES = (
    (r'"""The client for programs that wait for each answer\."""', '"""The client for programs on an event loop."""'),
    (r"\bimport time\n", "import asyncio\n"),
    (r"\bclass Client\b", "class AsyncClient"),
    (r"httpx\.Client\b", "httpx.AsyncClient"),
    (r"``with`` statement, or call ``close``", "``async with`` statement, or await ``close``"),
    (r"    def (?!__init__)", "    async def "),
    (r"__(enter|exit)__", r"__a\1__"),
    (r"self\._http\.close\(\)", "await self._http.aclose()"),
    (r"(?<!await )self\.(close|_ask|_all|_list|_http\.request)\(", r"await self.\1("),
    (r"time\.sleep\(", "await asyncio.sleep("),
)


def asynchronous(text: str) -> str:
    """The module with the asynchronous client."""
    for pattern, replacement in _CHANGES:
        text = re.sub(pattern, replacement, text)
    ruff = [sys.executable, "-m", "ruff", "format", "--quiet", "--stdin-filename", str(TARGET), "-"]
    return subprocess.run(ruff, input=text, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    TARGET.write_text(asynchronous(SOURCE.read_text()))
