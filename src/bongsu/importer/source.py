"""What is imported: implemented by ``files`` and ``prometheus``."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

# The encoded labels of its series, time in ms, value.
Sample = tuple[bytes, int, float]


@dataclass(slots=True)
class Batch:
    """Samples for one request. ``position``: where to continue when they are stored; None: not known before the next
    batches are stored, too."""

    samples: list[Sample] = field(default_factory=list)
    position: dict[str, Any] | None = None


class Source(Protocol):
    """Reads samples, in small steps. It counts what it reads in the totals of the import."""

    def batches(self, position: dict[str, Any] | None) -> Iterator[Batch]:
        """Everything after ``position``; None: from the beginning.

        Raises:
            BongsuError: it cannot be read.
        """

    @property
    def fraction(self) -> float:
        """How much has been read, 0 to 1."""

    @property
    def place(self) -> str:
        """How far it has come, for people."""
