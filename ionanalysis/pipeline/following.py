"""Runs that are still being written: when there is enough of one to start with."""

import time

from ionanalysis.errors import InputError, LateImageError
from ionanalysis.run import Patience, find_explog, open_run

POLL_S = 1.0


def wait_for_run(path, limit_s, note):
    """Open a run as soon as its log and first image (of all blocks that the log tells of) are there.

    Parameters
    ----------
    path : Path
        Run directory; may not exist yet.
    limit_s : float
        How long to wait. Blocks that have not begun by then are taken for missing.
    note : callable
        Gets a sentence when there is something to wait for.

    Returns
    -------
    Patience
        How images are to be waited for.

    Raises
    ------
    LateImageError
        If log and first image do not come in time.
    """
    given_up, told = time.monotonic() + limit_s, False
    while True:
        begun, lacking = _begun(path)
        if begun and not lacking:
            return Patience(limit_s, POLL_S)
        if time.monotonic() >= given_up:
            if begun:
                return Patience(limit_s, POLL_S)
            raise LateImageError(
                f"{path}: has no run log with a first image after {limit_s:g} s; start again when the run has begun."
            )
        if not told:
            note(f"{path}: is waited for; {lacking or 'there is no log with a first image'}.")
            told = True
        time.sleep(POLL_S)


def _begun(path):
    """Whether a run can be opened, and what it still lacks, in words."""
    if not path.is_dir() or find_explog(path) is None:
        return False, ""
    try:
        run = open_run(path)
    except InputError:
        # No image yet, or half of one.
        return False, ""
    late = run.missing_blocks()
    return True, f"{len(late)} blocks have not begun" if late and not run.has_ended() else ""
