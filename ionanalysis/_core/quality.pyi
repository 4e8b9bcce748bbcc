import numpy as np

def quality_predictors(
    signal: np.ndarray,
    predicted: np.ndarray,
    inphase: np.ndarray,
    n_runs: np.ndarray,
    run_flow: np.ndarray,
    run_length: np.ndarray,
    losses: np.ndarray,
    settings: np.ndarray,
    out: np.ndarray,
) -> None: ...
def look_up(
    predictors: np.ndarray,
    cuts: np.ndarray,
    cut_start: np.ndarray,
    values: np.ndarray,
    out: np.ndarray,
) -> None: ...
