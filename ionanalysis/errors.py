"""Errors that a user can act on. Anything else that escapes a command is a defect of ours.

Each takes one string (so that it can be pickled between processes): where, what was found, what was
expected, what to do.
"""


class IonAnalysisError(Exception):
    """Base of all errors that end a command with one sentence."""

    exit_code = 1


class UsageError(IonAnalysisError):
    """The command line or the options contradict themselves."""

    exit_code = 2


class InputError(IonAnalysisError):
    """A file or an array is not what it should be."""

    exit_code = 3


class ChecksumError(InputError):
    """A file carries a check and fails it. `Analysis` and `justBeadFind` leave with 2."""


class NoLiveBeadsError(InputError):
    """No well of the chip shows a key. `Analysis` and `justBeadFind` leave with 3."""


class FailedBlocksError(InputError):
    """Some blocks of a chip have no result; those of the others are whole."""


class OutputError(IonAnalysisError):
    """A result cannot be written."""

    exit_code = 3


class InterruptedRunError(IonAnalysisError):
    """The run stopped half-way; `--resume` can finish it."""

    exit_code = 4


class LateImageError(IonAnalysisError):
    """A run that is followed has not grown in time; `--resume` waits again."""

    exit_code = 4


class LostWorkerError(IonAnalysisError):
    """Workers die, and new ones die, too; `--resume` can finish the run elsewhere."""

    exit_code = 4


def expect_shape(name, array, shape, meaning):
    """Raise `InputError` unless `array` has `shape`.

    >>> import numpy as np
    >>> expect_shape("phase", np.zeros((2, 2)), (2, 3), "cf, ie, dr of each well")
    Traceback (most recent call last):
    ...
    ionanalysis.errors.InputError: phase has shape (2, 2); expected (2, 3), cf, ie, dr of each well.
    """
    if array.shape != tuple(shape):
        raise InputError(f"{name} has shape {array.shape}; expected {tuple(shape)}, {meaning}.")
