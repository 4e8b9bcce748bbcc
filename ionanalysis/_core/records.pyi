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
def append_turned(
    records: np.ndarray,
    bases_at: np.ndarray,
    n_bases: np.ndarray,
    reverse: np.ndarray,
    turned: np.ndarray,
    at: np.ndarray,
    out: np.ndarray,
) -> None: ...
def unpack_bases(
    records: np.ndarray,
    bases_at: np.ndarray,
    base_start: np.ndarray,
    of_code: np.ndarray,
    letters: np.ndarray,
) -> None: ...
def flow_units(signal: np.ndarray, out: np.ndarray) -> None: ...
