import numpy as np
from numpy.typing import NDArray

def interpolate_table(
    table: NDArray[np.float32],
    tau_node: NDArray[np.int32],
    delay_node: NDArray[np.int32],
    tau_weight: NDArray[np.float32],
    delay_weight: NDArray[np.float32],
    values: NDArray[np.float32],
) -> None: ...
def merge_frames(
    frames: NDArray[np.int16],
    group: NDArray[np.int32],
    share: NDArray[np.float32],
    low: int,
    high: int,
    merged: NDArray[np.float32],
    pinned: NDArray[np.uint8],
) -> None: ...
def take_in(
    frames: NDArray[np.int16],
    vectors: NDArray[np.float32],
    low: int,
    high: int,
    chosen: NDArray[np.uint8],
    lanes: NDArray[np.int32],
    projections: NDArray[np.float32],
    pinned: NDArray[np.uint8],
    sums: NDArray[np.int64],
) -> None: ...
def combine_projections(
    table: NDArray[np.float32],
    tau_node: NDArray[np.int32],
    delay_node: NDArray[np.int32],
    tau_weight: NDArray[np.float32],
    delay_weight: NDArray[np.float32],
    projections: NDArray[np.float32],
    wells: NDArray[np.int32],
    gain: NDArray[np.float32],
    place: NDArray[np.float32],
    delay_s: float,
    amplitudes: NDArray[np.float32],
) -> None: ...
