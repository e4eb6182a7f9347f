"""Names for numpy arrays by what their numbers mean."""

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.int64]  # Unix milliseconds
Values = npt.NDArray[np.float64]  # NaN = no value
Counts = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]
