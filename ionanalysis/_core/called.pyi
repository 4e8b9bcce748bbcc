import numpy as np

def count_bases(n_runs: np.ndarray, run_length: np.ndarray, n_bases: np.ndarray) -> None: ...
def expand_runs(n_runs: np.ndarray, run_flow: np.ndarray, run_length: np.ndarray, base_flow: np.ndarray) -> None: ...
def undo_droop(
    signal: np.ndarray,
    base_start: np.ndarray,
    base_flow: np.ndarray,
    droop: np.ndarray,
    out: np.ndarray,
) -> None: ...
def clip_windows(
    qualities: np.ndarray,
    base_start: np.ndarray,
    size: int,
    cutoff: float,
    clip: np.ndarray,
) -> None: ...
