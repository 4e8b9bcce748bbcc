import numpy as np

def read_tags(
    bases: np.ndarray,
    begin: np.ndarray,
    n_there: np.ndarray,
    step: int,
    pattern: np.ndarray,
    block_start: np.ndarray,
    strict: bool,
    heal: bool,
    scratch: np.ndarray,
    text: np.ndarray,
    n_cut: np.ndarray,
) -> None: ...
