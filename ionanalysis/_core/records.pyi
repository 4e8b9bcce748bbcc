import numpy as np

def append_cells(
    cells: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
    at: np.ndarray,
    out: np.ndarray,
) -> None: ...
def append_packed(
    values: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
    at: np.ndarray,
    out: np.ndarray,
) -> None: ...
def flow_units(signal: np.ndarray, out: np.ndarray) -> None: ...
