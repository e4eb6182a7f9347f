"""A server as rules see it: whether it is alive, and how far its clock is off, both by when its frames arrive."""

from dataclasses import dataclass, field

from bongsu.core.liveness import DEFAULT_INTERVAL_MS, LATE_AFTER

# The id of Bongsu itself, whose series are its problems. Those of servers begin at 1.
BONGSU = 0
# A frame may be this old, plus three intervals: the time from reading a sample to storing it.
SLACK_MS = 5_000
# A clock that is behind shows by frames that arrive at the pace of their time stamps. A backlog arrives faster.
PACE_ARRIVALS = 3


@dataclass(slots=True)
class WatchedServer:
    """``alive_ms``: when a frame last arrived, or since when the worker has watched it. ``heard``: a frame has arrived
    since then; until then the silence proves nothing. ``shift_ms``: our clock minus the server's, as far as it is
    certain."""

    id: int
    name: str
    tags: dict[str, str]
    interval_ms: int
    alive_ms: int
    heard: bool = False
    shift_ms: int = 0
    # Our clock minus the time of the newest frame, at each of the last arrivals that kept pace.
    lags: list[int] = field(default_factory=list)
    # Since when frames have arrived of which nobody can tell whether they are old or the clock is behind; None: they
    # have not. Meanwhile nothing is evaluated.
    blind_since_ms: int | None = None

    @property
    def step_ms(self) -> int:
        """The interval in which frames are expected."""
        return self.interval_ms or DEFAULT_INTERVAL_MS

    @property
    def late_ms(self) -> int:
        """Samples are too old to evaluate after this time."""
        return LATE_AFTER * self.step_ms + SLACK_MS

    def arrived(self, newest_ms: int, now_ms: int) -> None:
        """Takes note of frames that have arrived, the newest of this time."""
        self.alive_ms, self.heard = now_ms, True
        lag_ms = now_ms - newest_ms
        if self.lags and max(abs(lag_ms - earlier) for earlier in self.lags) > self.step_ms + SLACK_MS:
            self.lags.clear()
        self.lags = [*self.lags[1 - PACE_ARRIVALS :], lag_ms]
        in_pace = len(self.lags) == PACE_ARRIVALS
        # No frame arrives before it is made: without a pace, only a clock that is ahead is certain.
        self.shift_ms = min(self.lags) if in_pace else min(lag_ms, 0)
        if in_pace or lag_ms <= self.late_ms:
            self.blind_since_ms = None
        elif self.blind_since_ms is None:
            self.blind_since_ms = now_ms

    def copy_state(self, known: "WatchedServer") -> None:
        """Continues what is known of the same server."""
        self.alive_ms, self.heard = known.alive_ms, known.heard
        self.shift_ms, self.lags, self.blind_since_ms = known.shift_ms, known.lags, known.blind_since_ms
