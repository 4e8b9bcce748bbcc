"""Names and heights that the original's other programs look for."""

import json

import pytest

from ionanalysis.errors import InputError
from ionanalysis.metrics.peak_signal import raw_peak_signal
from ionanalysis.plugin.downloads import link_downloads


@pytest.fixture
def result(tmp_path):
    params = {"expName": "R_2011_04_07", "resultsName": "Auto 36"}
    (tmp_path / "ion_params_00.json").write_text(json.dumps(params))
    (tmp_path / "basecaller_results").mkdir()
    return tmp_path


def test_reads_are_linked_under_names_that_tell_the_run(result):
    for name in ("IonXpress_001_rawlib", "nomatch_rawlib", "rawtf"):
        (result / "basecaller_results" / f"{name}.basecaller.bam").write_text(name)
    assert sorted(link.name for link in link_downloads(result)) == [
        "IonXpress_001_R_2011_04_07_Auto_36.basecaller.bam",
        "R_2011_04_07_Auto_36.rawtf.basecaller.bam",
        "nomatch_R_2011_04_07_Auto_36.basecaller.bam",
    ]
    linked = result / "download_links" / "nomatch_R_2011_04_07_Auto_36.basecaller.bam"
    assert linked.read_text() == "nomatch_rawlib"


def test_links_of_reads_that_are_gone_go_too(result):
    bam = result / "basecaller_results" / "rawlib.basecaller.bam"
    bam.write_text("")
    link_downloads(result)
    bam.unlink()
    assert link_downloads(result) == []
    assert not list((result / "download_links").iterdir())


def test_peaks_of_the_one_mer_traces(tmp_path):
    (tmp_path / "avgNukeTrace_TCAG.txt").write_text("0 1 900\n1 0 2\nT 1 83.4 70\nC 2 80 71\n")
    assert raw_peak_signal(tmp_path, "TCAG", "ATCG") == "[global]\nLibrary = 83\nTest Fragment = 0\n"


def test_a_broken_trace_names_its_line(tmp_path):
    (tmp_path / "avgNukeTrace_TCAG.txt").write_text("T 1 x\n")
    with pytest.raises(InputError, match="line 1: expected numbers behind T"):
        raw_peak_signal(tmp_path, "TCAG", "ATCG")
