"""Names for numpy arrays by what their numbers mean, and how counters grow."""

import numpy as np
import numpy.typing as npt

from bongsu.core.samples import ABSENT as ABSENT
from bongsu.core.samples import NOT_A_NUMBER as NOT_A_NUMBER
from bongsu.core.samples import STALE as STALE

Times = npt.NDArray[np.int64]  # Unix milliseconds
Values = npt.NDArray[np.float64]  # NaN = no value
Counts = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]

# A counter that falls by a smaller share than this was not reset: some are the difference of two counters, such as CPU
# time less guest time on KVM, and run back by a few ticks.
RESET_SHARE = 0.01


def growth(before: Values, after: Values) -> Values:
    """How much counters grew from one sample to the next. After a reset to 0 that is the new value.

    A tiny fall counts as it is, so that the sum over some time is right.
    """
    return np.where(was_reset(before, after), after, after - before)


def was_reset(before: Values, after: Values) -> Flags:
    """Whether counters started again at 0 between two samples."""
    return after < before * (1 - RESET_SHARE)
