"""Tables of launches: who runs, in which order, held on what (plugin.md 3.1, 3.2, 9)."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ionanalysis.plugin.schedule import LEVELS, ScheduleRequest, schedule


@dataclass(frozen=True)
class Plugin:
    name: str
    runlevels: tuple = ()
    depends: tuple = ()
    features: tuple = ()
    runtypes: tuple = ()


def plugin(name, levels="", depends="", features="", runtypes=""):
    return Plugin(name, *(tuple(words.split()) for words in (levels, depends, features, runtypes)))


def table(*plugins, **request):
    """Jobs as text: ``NAME.level[.block] < holds``, earlier results in brackets."""
    jobs = schedule(ScheduleRequest(plugins=plugins, **{"manual": True, **request}))
    lines = []
    for job in jobs:
        holds = [".".join(filter(None, held)) for held in job.holds] + [f"[{name}]" for name in job.earlier]
        lines.append(" < ".join(filter(None, [".".join(filter(None, job.key)), " ".join(holds)])))
    return lines


BLOCKS = {"report_type": "composite", "blocks": ("X0_Y0", "X0_Y8")}
ALL_LEVELS = " ".join(LEVELS)

TABLES = {
    "no level means default": ([plugin("A")], {}, ["A.default"]),
    "levels of one plugin wait for each other": (
        [plugin("A", "last pre default")],
        {},
        ["A.pre", "A.default < A.pre", "A.last < A.default"],
    ),
    "post waits for its own blocks": (
        [plugin("A", "pre block post")],
        BLOCKS,
        [
            "A.pre",
            "A.block.X0_Y0 < A.pre",
            "A.block.X0_Y8 < A.pre",
            "A.post < A.pre A.block.X0_Y0 A.block.X0_Y8",
        ],
    ),
    "no blocks on a whole chip": ([plugin("A", "block post")], {"blocks": ("X0_Y0",)}, ["A.post"]),
    "the separator's round is manual": (
        [plugin("A", "separator default")],
        {},
        ["A.separator", "A.default < A.separator"],
    ),
    "or comes with the mask": (
        [plugin("A", "separator default")],
        {"manual": False, "separator": True},
        ["A.separator", "A.default < A.separator"],
    ),
    "without the mask there is none": (
        [plugin("A", "separator default")],
        {"manual": False},
        ["A.default"],
    ),
    "dependencies come first": (
        [plugin("A", depends="B C"), plugin("B", depends="C"), plugin("C")],
        {},
        ["C.default", "B.default < C.default", "A.default < B.default C.default"],
    ),
    "a dependency of an earlier level holds, too": (
        [plugin("A", depends="B"), plugin("B", "pre")],
        {},
        ["B.pre", "A.default < B.pre"],
    ),
    "one of a later level does not": (
        [plugin("A", depends="B"), plugin("B", "last")],
        {},
        ["A.default", "B.last < A.default"],
    ),
    "a dependency that nobody asked for is not started": (
        [plugin("A", depends="B")],
        {"installed": {"B": plugin("B")}},
        ["A.default"],
    ),
    "but its earlier result counts": (
        [plugin("A", depends="B")],
        {"installed": {"B": plugin("B")}, "earlier": frozenset({"B", "Other"})},
        ["A.default < [B]"],
    ),
    "this launch goes before an earlier result": (
        [plugin("A", depends="B"), plugin("B")],
        {"earlier": frozenset({"B"})},
        ["B.default", "A.default < B.default"],
    ),
    "a dependency that is not installed is ignored": ([plugin("A", depends="Gone")], {}, ["A.default"]),
    "the graph goes on through installed ones": (
        [plugin("A", depends="B"), plugin("C")],
        {"installed": {"B": plugin("B", depends="C")}},
        ["C.default", "A.default"],
    ),
    "a cycle is cut": (
        [plugin("A", depends="B"), plugin("B", depends="A")],
        {},
        ["B.default", "A.default < B.default"],
    ),
    "one that depends on itself": ([plugin("A", depends="A")], {}, ["A.default"]),
    "last ones wait for all others and run together": (
        [plugin("L", "last"), plugin("M", "last"), plugin("A"), plugin("B", depends="A")],
        {},
        ["A.default", "B.default < A.default", "L.last < A.default B.default", "M.last < A.default B.default"],
    ),
    "last ones keep order among themselves if they depend": (
        [plugin("L", "last", depends="M"), plugin("M", "last"), plugin("A")],
        {},
        ["A.default", "M.last < A.default", "L.last < M.last A.default"],
    ),
    "a last job waits for others' blocks": (
        [plugin("A", "block"), plugin("L", "last")],
        BLOCKS,
        ["A.block.X0_Y0", "A.block.X0_Y8", "L.last < A.block.X0_Y0 A.block.X0_Y8"],
    ),
    "export plugins come at the end of their round, one after the other": (
        [plugin("E", features="export"), plugin("F", features="export"), plugin("A")],
        {},
        ["A.default", "E.default < A.default", "F.default < E.default A.default"],
    ),
    "last ones do not wait for export plugins": (
        [plugin("E", features="export"), plugin("L", "last"), plugin("A")],
        {},
        ["A.default", "E.default < A.default", "L.last < A.default"],
    ),
    "export plugins of level last wait for last ones": (
        [plugin("E", "last", features="export"), plugin("L", "last"), plugin("A")],
        {},
        ["A.default", "L.last < A.default", "E.last < L.last A.default"],
    ),
    "blocks wait for the same block of a dependency": (
        [plugin("A", "block", depends="B"), plugin("B", "pre block")],
        BLOCKS,
        [
            "B.pre",
            "B.block.X0_Y0 < B.pre",
            "A.block.X0_Y0 < B.block.X0_Y0",
            "B.block.X0_Y8 < B.pre",
            "A.block.X0_Y8 < B.block.X0_Y8",
        ],
    ),
    "one level can be asked for": ([plugin("A", "pre default last")], {"levels": ("last",)}, ["A.last"]),
}


@pytest.mark.parametrize(("plugins", "request_", "jobs"), TABLES.values(), ids=TABLES)
def test_a_launch_gives_these_jobs(plugins, request_, jobs):
    assert table(*plugins, **request_) == jobs


@pytest.mark.parametrize(
    ("runtypes", "where"),
    [
        ("", ["wholechip", "thumbnail"]),
        ("composite", ["composite"]),
        ("wholechip thumbnail composite", ["wholechip", "thumbnail", "composite"]),
    ],
)
def test_run_types_choose_in_automatic_runs_only(runtypes, where):
    one = plugin("A", runtypes=runtypes)
    kinds = ["wholechip", "thumbnail", "composite"]
    assert [kind for kind in kinds if table(one, manual=False, report_type=kind)] == where
    assert [kind for kind in kinds if table(one, report_type=kind)] == kinds


def test_a_plugin_whose_run_type_does_not_fit_holds_nobody():
    jobs = table(plugin("A", depends="B"), plugin("B", runtypes="composite"), manual=False)
    assert jobs == ["A.default"]


def test_a_long_chain_of_dependencies():
    chain = [plugin(f"P{n}", depends=f"P{n + 1}") for n in range(5000)]
    assert table(*chain)[0] == "P4999.default"


names = st.sampled_from("ABCDEF")
plugins = st.builds(
    Plugin,
    names,
    st.lists(st.sampled_from(LEVELS), unique=True).map(tuple),
    st.lists(names, unique=True).map(tuple),
    st.sampled_from([(), ("export",)]),
)


@given(st.lists(plugins, unique_by=lambda one: one.name), st.sampled_from(["wholechip", "composite"]))
def test_every_job_waits_only_for_earlier_ones_and_comes_once(chosen, kind):
    request = ScheduleRequest(plugins=tuple(chosen), manual=True, report_type=kind, blocks=("X0_Y0", "X8_Y0"))
    jobs = schedule(request)
    seen: set = set()
    for job in jobs:
        assert job.key not in seen
        assert set(job.holds) <= seen
        seen.add(job.key)
    expected = sum(len(set(one.runlevels) - {"block"}) or (one.runlevels == ()) for one in chosen)
    expected += sum("block" in one.runlevels for one in chosen) * (2 if kind == "composite" else 0)
    assert len(jobs) == expected
