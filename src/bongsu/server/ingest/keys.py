"""The keys of the series that a writer has sent before."""

from bongsu.server.ingest.tape import Run, Tape


class Keys:
    """Places 0, 1, ... of keys. Threads may read while the event loop adds."""

    def __init__(self) -> None:
        self.places: dict[bytes, int] = {}
        self.tape = Tape()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self.places)

    def add(self, key: bytes) -> int:
        """Gives a key the next place, and returns it; its own, if it has one."""
        known = len(self.places)
        place = self.places.setdefault(key, known)
        if place == known:
            self._bytes += len(key)
        return place

    def came(self, body: bytes, run: Run) -> None:
        """Takes note of a request in which all series are known."""
        self.tape.add(body, run, self._bytes)
