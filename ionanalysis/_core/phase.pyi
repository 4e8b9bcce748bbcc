import numpy as np
from numpy.typing import NDArray

def transition_tables(
    flow_base: NDArray[np.int8],
    phase: NDArray[np.float64],
    extend: NDArray[np.float64],
    stay: NDArray[np.float64],
) -> None: ...
def predict_signal(
    flow_base: NDArray[np.int8],
    run_start: NDArray[np.int64],
    run_flow: NDArray[np.int32],
    run_length: NDArray[np.float32],
    phase: NDArray[np.float64],
    cutoff: float,
    signal: NDArray[np.float64],
    inphase: NDArray[np.float32],
) -> None: ...
def fit_sums(
    flow_base: NDArray[np.int8],
    run_start: NDArray[np.int64],
    run_flow: NDArray[np.int32],
    run_length: NDArray[np.float32],
    phase: NDArray[np.float64],
    cutoff: float,
    signal: NDArray[np.float32],
    first: int,
    end: NDArray[np.int32],
    noise: NDArray[np.float64],
    gradient: NDArray[np.float64],
    curvature: NDArray[np.float64],
    of_flow: NDArray[np.float64],
    scatter: NDArray[np.float64],
) -> None: ...
