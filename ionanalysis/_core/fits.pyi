import numpy as np
from numpy.typing import NDArray

def low_pass_means(
    fine: NDArray[np.float64],
    decay: NDArray[np.float64],
    ramp: NDArray[np.float64],
    steps: NDArray[np.int32],
    means: NDArray[np.float64],
) -> None: ...
def best_nodes(
    nodes: NDArray[np.float32],
    weight: NDArray[np.float32],
    traces: NDArray[np.float32],
    best: NDArray[np.int32],
    gain: NDArray[np.float32],
) -> None: ...
def fit_wells(
    table: NDArray[np.float32],
    grid: NDArray[np.float64],
    traces: NDArray[np.float32],
    known: NDArray[np.float64],
    pull: NDArray[np.float64],
    n_rounds: int,
    values: NDArray[np.float64],
    left: NDArray[np.float64],
) -> None: ...
