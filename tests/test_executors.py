"""Executors: the same results in the same order everywhere, also when workers die."""

import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from ionanalysis.errors import LostWorkerError, UsageError
from ionanalysis.executors import map_blocks, open_executor


def square(number):
    return number * number


def square_after_a_death(folder, number):
    """The square; the first to ask for that of 3 dies."""
    if number == 3:
        try:
            (Path(folder) / "died").touch(exist_ok=False)
        except FileExistsError:
            pass
        else:
            os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def die(number):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("spec", ["threads:1", "threads:3", "processes:2"])
def test_results_come_in_the_order_of_the_blocks(spec):
    with open_executor(spec) as executor:
        assert list(map_blocks(executor, square, range(20))) == [number**2 for number in range(20)]


def test_a_bounded_number_of_blocks_is_in_flight():
    begun = []
    with open_executor("threads:1") as executor:
        results = map_blocks(executor, begun.append, iter(range(100)), in_flight=3)
        next(results)
        assert len(begun) <= 3
        results.close()


def test_blocks_of_a_process_that_dies_are_done_again(tmp_path):
    with open_executor("processes:2") as executor:
        work = partial(square_after_a_death, str(tmp_path))
        assert list(map_blocks(executor, work, range(10))) == [number**2 for number in range(10)]
    assert (tmp_path / "died").exists()


def test_a_block_that_kills_every_process_ends_the_work():
    with open_executor("processes:1") as executor, pytest.raises(LostWorkerError, match="died 3 times"):
        list(map_blocks(executor, die, range(2)))


@pytest.mark.parametrize("spec", ["threads:0", "processes:x", "cloud", "dask:"])
def test_words_that_mean_no_executor_are_refused(spec):
    with pytest.raises(UsageError, match="executor"), open_executor(spec):
        pass


# What dask and tornado warn of is not ours to mend.
needs_dask = pytest.mark.filterwarnings("ignore")


@needs_dask
def test_a_cluster_gives_the_same_results_in_order(dask_address):
    with open_executor(f"dask:{dask_address}") as executor:
        assert list(map_blocks(executor, abs, range(-20, 0))) == list(range(20, 0, -1))


@needs_dask
def test_blocks_of_a_worker_of_the_cluster_that_dies_are_done_again(dask_address, tmp_path):
    script = (
        "import os, pathlib, signal\n"
        "def square(folder, number):\n"
        "    mark = pathlib.Path(folder, 'died')\n"
        "    if number == 3 and not mark.exists():\n"
        "        mark.touch()\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return number * number\n"
    )
    names: dict = {"__name__": "__main__"}
    # Functions of __main__ travel by value: workers need not be able to import this module.
    exec(script, names)
    with open_executor(f"dask:{dask_address}") as executor:
        work = partial(names["square"], str(tmp_path))
        assert list(map_blocks(executor, work, range(10))) == [number**2 for number in range(10)]
    assert (tmp_path / "died").exists()


@needs_dask
def test_a_scheduler_that_does_not_answer_is_explained(monkeypatch):
    pytest.importorskip("distributed", reason="the extra [cluster] is not installed")
    monkeypatch.setattr("ionanalysis.executors._DASK_TIMEOUT_S", 1)
    started = time.monotonic()
    with pytest.raises(UsageError, match="no scheduler answers"), open_executor("dask:tcp://127.0.0.1:9"):
        pass
    assert time.monotonic() - started < 60
