"""The original programs' options: all of them are known, and parse as the originals parse them."""

import shlex
from pathlib import Path

import pytest

from ionanalysis.cli.legacy.analysis_flags import ANALYSIS_FLAGS
from ionanalysis.cli.legacy.basecaller_flags import BASECALLER_FLAGS
from ionanalysis.cli.legacy.flags import FlagTable
from ionanalysis.errors import UsageError

DATA = Path(__file__).parent / "data"

# Every option of the originals' own lists.
BASECALLER_OPTIONS = (DATA / "basecaller_options.txt").read_text().split()

ANALYSIS_OPTIONS = (DATA / "analysis_options.txt").read_text().split()

PIPELINE_TAIL = """--input-dir=sigproc_results --librarykey=TCAG --tfkey=ATCG --run-id=ABCDE
--output-dir=basecaller_results --block-offset 0,1332 --datasets=basecaller_results/datasets_pipeline.json
--trim-adapter ATCACCGACTGCCCATAGAGAGGCTGAGAC"""

BASECALLER_COMMANDS = {
    "540": "--trim-qual-cutoff 15 --barcode-filter-minreads 10 --phasing-residual-filter=2.0 --max-phasing-levels 2 "
    "--num-unfiltered 1000 --barcode-filter-postpone 1 --wells-normalization on",
    "520": "--trim-qual-cutoff 15 --barcode-filter-minreads 10 --phasing-residual-filter=2.0 --num-unfiltered 1000 "
    "--barcode-filter-postpone 1 --qual-filter true --qual-filter-slope 0.040 --qual-filter-offset 1.0 "
    "--wells-normalization on",
    "318": "--trim-qual-cutoff 15 --barcode-filter-minreads 20 --phred-table-file phredTable.318.h5",
    "rna": "--trim-qual-cutoff 15 --min-read-length 8",
    "training": "--trim-qual-cutoff 15 --barcode-filter-minreads 10 --calibration-training=100000",
    "document": "--barcode-filter 0.01 --barcode-filter-minreads 20",
}


@pytest.mark.parametrize("option", BASECALLER_OPTIONS)
def test_basecaller_knows_the_originals_options(option):
    assert BASECALLER_FLAGS.find(option.lstrip("-"))


@pytest.mark.parametrize("option", ANALYSIS_OPTIONS)
def test_analysis_knows_the_originals_options(option):
    assert ANALYSIS_FLAGS.find(option.lstrip("-"))


@pytest.mark.parametrize("arguments", BASECALLER_COMMANDS.values(), ids=BASECALLER_COMMANDS)
def test_shipped_basecaller_commands_parse(arguments):
    values, words = BASECALLER_FLAGS.parse(shlex.split(f"{arguments} {PIPELINE_TAIL}"))
    assert words == []
    assert (values["block-offset"], values["run-id"]) == ((0, 1332), "ABCDE")


@pytest.mark.parametrize("program", ["beadfind", "analysis"])
def test_shipped_signal_commands_parse(program):
    command = (
        f"--args-json /opt/ion/config/args_314_{program}.json --librarykey=TCAG --tfkey=ATCG --no-subdir "
        "--output-dir=sigproc_results /raw/run"
    )
    values, words = ANALYSIS_FLAGS.parse(shlex.split(command))
    assert words == ["/raw/run"]
    assert values["no-subdir"] is True


SMALL = FlagTable(
    [
        ("help h", "flag", "@help"),
        ("Shine-On s", "bool", "@shine"),
        ("count n", "int", "@count"),
        ("low", "float", "@low"),
        ("size", "ints2", "@size"),
        ("rows r", "range", "@rows"),
        ("names", "texts", "@names"),
    ]
)
ANY_CASE = FlagTable([("Shine-On s", "bool", "@shine")], any_case=True)


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("--Shine-On", {"Shine-On": True}),
        ("--Shine-On off", {"Shine-On": False}),
        ("--Shine-On=false", {"Shine-On": False}),
        ("--Shine_On true", {"Shine-On": True}),
        ("-s 0", {"Shine-On": False}),
        ("--count 3 --count=4", {"count": 4}),
        ("-n -3", {"count": -3}),
        ("--low -5", {"low": -5.0}),
        ("--size 216,224", {"size": (216, 224)}),
        ("-r 0-50", {"rows": (0, 50)}),
        ("--names a,b", {"names": ("a", "b")}),
    ],
)
def test_values(line, values):
    assert SMALL.parse(line.split()) == (values, [])


def test_a_bare_boolean_leaves_the_next_word_alone():
    assert SMALL.parse(["--Shine-On", "/raw/run"]) == ({"Shine-On": True}, ["/raw/run"])


def test_case_counts_only_where_it_counts():
    assert ANY_CASE.parse(["--SHINE_ON"]) == ({"Shine-On": True}, [])
    with pytest.raises(UsageError, match="--SHINE-ON is unknown"):
        SMALL.parse(["--SHINE-ON"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--count", "option --count needs a value"),
        ("--count three", "'three' is not a whole number"),
        ("--size 1,2,3", "has 3 values; expected 2"),
        ("--rows 5-5", "is not a range"),
        ("--Shine-On=maybe", "'maybe' is not on, off, true or false"),
        ("--cuont 3", "--cuont is unknown; did you mean --count?"),
        ("--n 3", "option --n is unknown"),
        ("-count 3", "option -count is unknown"),
    ],
)
def test_wrong_lines_are_explained(line, message):
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        SMALL.parse(line.split())
