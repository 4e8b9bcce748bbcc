import numpy as np

def find_adapter(
    bases: np.ndarray,
    base_flow: np.ndarray,
    base_start: np.ndarray,
    residual: np.ndarray,
    flows: np.ndarray,
    adapter: np.ndarray,
    cutoff: float,
    min_match: int,
    found: np.ndarray,
    score: np.ndarray,
) -> None: ...
