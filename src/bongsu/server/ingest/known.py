"""The series that a writer has written, so that only those that are new are looked at."""

from collections import Counter

import numpy as np
import numpy.typing as npt

from bongsu.arrays import Flags
from bongsu.core.series import Series
from bongsu.server.ingest.keys import Keys
from bongsu.server.storage.foreign import SeriesRow, encode_definition

Bits = npt.NDArray[np.int64]


class Known:
    """The series that a writer has written within the last hour: the places of ``keys`` are indexes of the arrays."""

    def __init__(self, now_ms: int) -> None:
        self.since_ms = now_ms
        self.keys = Keys()
        self.servers: Bits = np.empty(1_024, np.int64)
        self.numbers: Bits = np.empty(1_024, np.int64)
        # Their series is not known to be stored yet.
        self.unstored: Flags = np.empty(1_024, bool)
        self.series: dict[int, Series] = {}
        self.per_server: Counter[int] = Counter()

    def add(self, key: bytes, server_id: int, number: int, series: Series) -> int:
        """Takes note of a series, unless it is known already. Returns its index."""
        known = len(self.keys)
        index = self.keys.add(key)
        if index < known:  # another request has brought it while this one added a server
            return index
        if index == len(self.servers):
            self.servers = np.concatenate((self.servers, np.empty_like(self.servers)))
            self.numbers = np.concatenate((self.numbers, np.empty_like(self.numbers)))
            self.unstored = np.concatenate((self.unstored, np.empty_like(self.unstored)))
        self.servers[index], self.numbers[index], self.unstored[index] = server_id, number, True
        self.series[index] = series
        self.per_server[server_id] += 1
        return index

    def definitions(self, indexes: Bits) -> list[SeriesRow]:
        """The rows of the series among these that are not known to be stored."""
        new = np.unique(indexes[self.unstored[indexes]]).tolist()
        return [
            (int(self.servers[index]), int(self.numbers[index]), encode_definition(self.series[index]))
            for index in new
            if index in self.series
        ]

    def are_stored(self, indexes: Bits) -> None:
        """Their series are on disk."""
        new = indexes[self.unstored[indexes]]
        self.unstored[new] = False
        for index in new.tolist():
            self.series.pop(index, None)
