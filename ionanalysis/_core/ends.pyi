import numpy as np

def align_before(
    bases: np.ndarray,
    base_flow: np.ndarray,
    base_start: np.ndarray,
    anchor_flow: np.ndarray,
    anchor_bases: np.ndarray,
    flows: np.ndarray,
    query: np.ndarray,
    found: np.ndarray,
) -> None: ...
