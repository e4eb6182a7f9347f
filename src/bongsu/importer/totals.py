"""What an import has read, and what became of it."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Totals:
    """Counts since the beginning of the import, runs before this one included.

    ``read``, ``stored``, ``refused`` (by error code) and ``left_out`` (texts, which are no samples) are in samples;
    ``lines`` and ``bad_lines`` in lines. ``first_refusal``: what the API server said of the first refused sample.
    """

    read: int = 0
    stored: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    left_out: int = 0
    lines: int = 0
    bad_lines: int = 0
    first_refusal: str = ""

    @property
    def refused_samples(self) -> int:
        return sum(self.refused.values())

    @property
    def is_complete(self) -> bool:
        """Whether everything that was to be imported is stored."""
        return not self.bad_lines and not self.refused_samples

    def refuse(self, code: str, samples: int, reason: str) -> None:
        """Counts samples that the API server does not store."""
        self.refused[code] += samples
        self.first_refusal = self.first_refusal or reason

    def to_json(self) -> dict[str, Any]:
        return {
            "read": self.read,
            "stored": self.stored,
            "refused": dict(self.refused),
            "left_out": self.left_out,
            "lines": self.lines,
            "bad_lines": self.bad_lines,
            "first_refusal": self.first_refusal,
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Totals":
        """Raises KeyError, TypeError or ValueError if it is no such document."""
        return cls(
            read=int(document["read"]),
            stored=int(document["stored"]),
            refused=Counter({str(code): int(samples) for code, samples in document["refused"].items()}),
            left_out=int(document["left_out"]),
            lines=int(document["lines"]),
            bad_lines=int(document["bad_lines"]),
            first_refusal=str(document["first_refusal"]),
        )
