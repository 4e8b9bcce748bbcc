import numpy as np
from numpy.typing import NDArray

def project_traces(
    frames: NDArray[np.int16],
    reference: NDArray[np.float32],
    vectors: NDArray[np.float32],
    projections: NDArray[np.float32],
    energy: NDArray[np.float32],
) -> None: ...
def interpolate_table(
    table: NDArray[np.float32],
    tau_node: NDArray[np.int32],
    delay_node: NDArray[np.int32],
    tau_weight: NDArray[np.float32],
    delay_weight: NDArray[np.float32],
    values: NDArray[np.float32],
) -> None: ...
def pinned_wells(frames: NDArray[np.int16], low: int, high: int, pinned: NDArray[np.uint8]) -> None: ...
