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
def predict_slopes(
    flow_base: NDArray[np.int8],
    run_start: NDArray[np.int64],
    run_flow: NDArray[np.int32],
    run_length: NDArray[np.float32],
    phase: NDArray[np.float64],
    cutoff: float,
    signal: NDArray[np.float64],
    slope: NDArray[np.float64],
) -> None: ...
