import numpy as np
from numpy.typing import NDArray

def solve_reads(
    flow_base: NDArray[np.int8],
    raw: NDArray[np.float32],
    phase: NDArray[np.float64],
    pinned: NDArray[np.int8],
    response: NDArray[np.float32],
    model: NDArray[np.int32],
    table: NDArray[np.int16],
    settings: NDArray[np.float64],
    signal: NDArray[np.float32],
    predicted: NDArray[np.float32],
    inphase: NDArray[np.float32],
    n_runs: NDArray[np.int32],
    run_flow: NDArray[np.int16],
    run_length: NDArray[np.int8],
    losses: NDArray[np.float32],
) -> None: ...
