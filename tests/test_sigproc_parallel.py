"""Work shared among forked processes: order, errors, and that nothing of it stays behind."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from ionanalysis.blocks import Block
from ionanalysis.errors import InputError, LostWorkerError
from ionanalysis.sigproc.bands import Band
from ionanalysis.sigproc.parallel import in_turns, side_by_side


def numbers(first, count):
    for step in range(count):
        yield os.getpid(), np.full(3, first + step)


@pytest.mark.parametrize("forked", [True, False])
def test_values_come_one_of_each_in_turn(forked):
    found = list(in_turns([partial(numbers, 0, 3), partial(numbers, 10, 1), partial(numbers, 20, 2)], forked=forked))
    assert [values[0] for _, values in found] == [0, 10, 20, 1, 21, 2]
    assert len({pid for pid, _ in found}) == (3 if forked else 1)


def test_a_single_work_stays_in_this_process():
    assert {pid for pid, _ in in_turns([partial(numbers, 0, 2)])} == {os.getpid()}


def failing(error):
    yield os.getpid()
    if error is None:
        os.kill(os.getpid(), signal.SIGKILL)
    raise error


def endless():
    while True:
        yield os.getpid()


@pytest.mark.parametrize(
    ("error", "expected", "text"),
    [(InputError("acq_0003.dat: is cut short"), InputError, "is cut short"), (None, LostWorkerError, "memory")],
)
def test_errors_reach_the_caller_and_end_all_processes(error, expected, text):
    pids = set()
    with pytest.raises(expected, match=text):
        for pid in in_turns([endless, partial(failing, error)]):
            pids.add(pid)
    assert_gone(pids)


def test_what_is_not_asked_for_any_more_ends():
    values = in_turns([endless, endless])
    pids = {next(values), next(values)}
    values.close()
    assert_gone(pids)


def assert_gone(pids):
    assert len(pids) == 2
    for pid in pids:
        with pytest.raises(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


PROGRAM = """
import os, time
from ionanalysis.sigproc.parallel import in_turns
def idle():
    yield os.getpid()
    time.sleep(600)
for pid in in_turns([idle, idle]):
    print(pid, flush=True)
"""


def test_processes_end_with_a_parent_that_is_killed():
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as parent:
        pids = [int(parent.stdout.readline()) for _ in range(2)]
        parent.kill()
    stop = time.monotonic() + 10
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < stop
        time.sleep(0.01)


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_processes_are_no_more_than_regions():
    assert [side_by_side(n, 3) for n in (1, 2, 8)] == [1, 2, 3]
    assert 1 <= side_by_side(None, 100) <= len(os.sched_getaffinity(0))


def test_bands_hold_all_regions_in_windows_of_their_own():
    tiles = list(Block(0, 0, 30, 20).tiles(10, 10))
    bands = Band.of_tiles(tiles, 4)
    assert [index for band in bands for index in band.regions] == list(range(6))
    chip, analysed = np.arange(40 * 40).reshape(40, 40), Block(5, 7, 30, 20)
    for band in bands:
        window = chip[band.slices_in(analysed)]
        for index in band.regions:
            expected = chip[analysed.slices][tiles[index].slices]
            assert np.array_equal(window[band.inside(tiles[index]).slices], expected)
