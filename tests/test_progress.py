"""Progress in a log file reads well."""

import io

import pytest

from ionanalysis.cli.progress import LogProgress, TerminalProgress, duration, open_progress


class Clock:
    """Seconds that pass by hand."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def log():
    progress = LogProgress(io.StringIO(), every_percent=25, clock=Clock())
    progress.lines = lambda: progress.stream.getvalue().splitlines()
    return progress


def test_one_line_per_step_of_percent(log):
    for done in range(201):
        log.clock.now = done
        log("sigproc", done, 200)
    assert log.lines() == [
        "sigproc: 0 % (0 of 200), 0:00 elapsed",
        "sigproc: 25 % (50 of 200), 0:50 elapsed, about 2:30 left",
        "sigproc: 50 % (100 of 200), 1:40 elapsed, about 1:40 left",
        "sigproc: 75 % (150 of 200), 2:30 elapsed, about 0:50 left",
        "sigproc: 100 % (200 of 200), 3:20 elapsed",
    ]


def test_hundred_percent_means_done(log):
    log("basecaller", 999, 1000)
    assert "99 %" in log.lines()[0]


def test_each_stage_has_its_own_clock(log):
    log("beadfind", 1, 1)
    log.clock.now = 100
    log("sigproc", 0, 4)
    log.clock.now = 110
    log("sigproc", 4, 4)
    assert log.lines()[-1] == "sigproc: 100 % (4 of 4), 0:10 elapsed"


def test_no_carriage_returns_and_no_colours_in_a_log(log):
    log("sigproc", 1, 2)
    log.note("something")
    assert not set("\r\x1b") & set(log.stream.getvalue())


def test_the_clock_of_a_stage_runs_from_its_start(log):
    log("report", 0, 0)
    log.clock.now = 30
    log("report", 1, 1)
    assert log.lines() == ["report: starts", "report: 100 % (1 of 1), 0:30 elapsed"]


def test_a_file_gets_lines_and_a_terminal_gets_bars():
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    assert isinstance(open_progress(io.StringIO()), LogProgress)
    with open_progress(terminal) as bars:
        assert isinstance(bars, TerminalProgress)
        bars("sigproc", 1, 2)
        bars.note("something [red]as it is[/red]")
    assert "sigproc" in terminal.getvalue()
    assert "something [red]as it is[/red]" in terminal.getvalue()


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0:00"), (61, "1:01"), (3725, "1:02:05")])
def test_durations(seconds, text):
    assert duration(seconds) == text
