"""The report page: whole, self-contained, harmless, and there for any result."""

import base64
import json
import re
import shutil
import xml.etree.ElementTree as ET
from array import array
from html.parser import HTMLParser

import numpy as np
import pysam
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from ionanalysis.basecaller import predict_signal
from ionanalysis.errors import InputError
from ionanalysis.flows import FlowOrder
from ionanalysis.io.fit_parameters import DATASETS, FitParameters
from ionanalysis.io.mask import Mask, WellFlag, write_mask
from ionanalysis.metrics.accuracy import calls_from_bam, score_calls
from ionanalysis.report import plots, write_report
from ionanalysis.report.accuracy_plots import _short, wilson_interval
from ionanalysis.report.fit_maps import fit_maps_plot
from ionanalysis.report.reads import gather_reads
from ionanalysis.report.result import Result, read_key_traces

VOID = {"meta", "img", "link", "br", "hr", "input"}


class Page(HTMLParser):
    """Collects tags, attributes and text, and checks that tags close in order."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.text, self.open = [], [], []
        self.feed(path.read_text(encoding="utf-8"))
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


@pytest.fixture(scope="module")
def full(golden, raw48, tmp_path_factory, calls_s60_truth):
    """A result with all parts (of two chips: no golden result has both), and its page."""
    result = tmp_path_factory.mktemp("full")
    (result / "basecaller_results").mkdir()
    (result / "sigproc_results").mkdir()
    for path in (golden / "calls-s60/peer").iterdir():
        shutil.copyfile(path, result / "basecaller_results" / path.name)
    shutil.copyfile(golden / "calls-s60/analysis.bfmask.bin", result / "sigproc_results/analysis.bfmask.bin")
    for path in (raw48 / "peer").glob("avgNukeTrace_*.txt"):
        shutil.copyfile(path, result / "sigproc_results" / path.name)
    stages = {"beadfind": {"seconds": 2.5}, "basecaller": {"seconds": 11.0}}
    run = {"ionanalysis": "1.2.3", "stages": stages, "command_line": "run 'A & B' <script>alert(1)</script>"}
    (result / "run.json").write_text(json.dumps(run))
    truth = score_calls(calls_from_bam(result / "basecaller_results/rawlib.basecaller.bam"), *calls_s60_truth)
    return Page(write_report(result, truth=truth))


@pytest.mark.golden
def test_every_picture_is_embedded_and_told_in_words(full):
    images = full.all("img")
    assert len(images) >= 14
    for image in images:
        kind, content = image["src"].split(",", 1)
        assert kind == "data:image/svg+xml;base64"
        ET.fromstring(base64.b64decode(content))
        assert len(image["alt"]) > 20


@pytest.mark.golden
def test_the_page_asks_for_nothing_and_runs_nothing(full):
    assert not full.all("script") and not full.all("link") and not full.all("iframe")
    links = [value for _, attributes in full.tags for name, value in attributes.items() if name in ("href", "src")]
    assert all(link.startswith(("#", "data:")) for link in links)
    style = full.words
    assert "url(" not in style and "@import" not in style


@pytest.mark.golden
def test_the_page_tells_the_figures(full):
    for figure in ("2,902 library reads", "0.41 errors per 100 bases", "54 % of the reads are perfect", "0.596 %"):
        assert figure in full.words


@pytest.mark.golden
def test_text_from_files_is_escaped(full):
    assert "run 'A & B' <script>alert(1)</script>" in full.words


@pytest.mark.golden
def test_the_page_can_be_walked_by_heading_and_link(full):
    names = {attributes["id"] for attributes in full.all("section")}
    assert {link["href"][1:] for link in full.all("a")} == names
    assert len(full.all("h1")) == 1 and len(full.all("h2")) == len(names)
    assert full.all("html")[0]["lang"] == "en" and any(m.get("name") == "viewport" for m in full.all("meta"))


def test_maps_are_means_over_live_wells(tmp_path):
    rows, cols = np.indices((12, 9)).astype(np.float32)
    copies = np.where(cols == 3, np.float32(-1), 1 + rows)
    wells = {name.split("/")[1]: rows for name in DATASETS if name.startswith("wells/")}
    wells |= {
        "copies": copies,
        "t0_s": np.where(rows < 5, np.nan, cols),
        "time_constant_s": np.where(cols == 3, 9, 0.5),
    }
    nothing = np.zeros((1, 1), np.float32)
    tables = [{n.split("/")[1]: nothing for n in DATASETS if n.startswith(group)} for group in ("regions/", "flows/")]
    (tmp_path / "sigproc_results").mkdir()
    FitParameters(wells, *tables).write(tmp_path / "sigproc_results/fit_parameters.h5")
    maps = Result(tmp_path).fit_maps
    assert (maps.shape, maps.side) == ((12, 9), 5)
    assert_allclose(maps.values["copies"], [[3, 3], [8, 8], [11.5, 11.5]])
    assert_allclose(maps.values["t0_s"], [[np.nan, np.nan], [2, 6.5], [2, 6.5]])
    assert_allclose(maps.values["time_constant_s"], 0.5)
    assert "time constant 0.5 to 0.5 s" in fit_maps_plot(maps).alt


def test_an_empty_result_says_what_is_missing(tmp_path):
    page = Page(write_report(tmp_path))
    assert not page.all("img")
    for words in ("no well mask", "no library reads", "no run.json", "started from wells", "not known"):
        assert words in page.words


@pytest.mark.golden
def test_a_result_that_was_started_from_wells(golden, tmp_path):
    shutil.copytree(golden / "barcodes-s60/peer", tmp_path / "basecaller_results", copy_function=shutil.copyfile)
    page = Page(write_report(tmp_path))
    assert "This result was started from wells" in page.words
    assert "IonXpress_005 sample_5 512 " in page.words and "Reads by barcode" in page.words


def test_linked_wells_are_no_signal_processing_of_this_result(tmp_path):
    write_mask(tmp_path / "former.bin", Mask(np.full((4, 4), WellFlag.EMPTY, np.uint16)))
    folder = tmp_path / "result" / "sigproc_results"
    folder.mkdir(parents=True)
    (folder / "analysis.bfmask.bin").symlink_to(tmp_path / "former.bin")
    page = Page(write_report(tmp_path / "result"))
    assert page.words.count("This result was started from wells") == 2


def basecaller_json(folder, content):
    (folder / "basecaller_results").mkdir()
    (folder / "basecaller_results" / "BaseCaller.json").write_text(json.dumps(content))


def phasing(n_rows, n_cols, values, reads):
    lists = {f"{name}byRegion": values for name in ("CF", "IE", "DR")}
    means = dict.fromkeys(("CF", "IE", "DR"), float(np.mean(values)))
    return {"Phasing": {**means, "RegionRows": n_rows, "RegionCols": n_cols, **lists, "ReadsByRegion": reads}}


def test_phase_regions_run_down_the_columns(tmp_path, monkeypatch):
    drawn = {}
    real = plots.phase_map
    monkeypatch.setattr(plots, "phase_map", lambda maps: drawn.update(maps) or real(maps))
    values = [0.001, 0.002, 0.003, 0.004, 0.005, 0.006]
    basecaller_json(tmp_path, phasing(2, 3, values, [9] * 6))
    page = Page(write_report(tmp_path))
    assert_allclose(drawn["CF"], [[0.1, 0.3, 0.5], [0.2, 0.4, 0.6]])
    assert "least region" in page.words


@pytest.mark.parametrize(("reads", "is_assumed"), [(0, True), (900, False)])
def test_phase_that_was_assumed_is_not_shown_as_an_estimate(tmp_path, reads, is_assumed):
    basecaller_json(tmp_path, phasing(1, 1, [0.008], [reads]))
    page = Page(write_report(tmp_path))
    assert ("values that calling started from" in page.words) is is_assumed
    assert "0.800 %" in page.words and "least region" not in page.words


def test_barcodes_without_reads_and_sample_are_counted_not_listed(tmp_path):
    names = {"bc_1": ("none", 7), "bc_2": ("liver", 0), "bc_3": ("none", 0), "bc_4": ("none", 0)}
    groups = {
        f"X.{name}": {"barcode_name": name, "sample": sample, "barcode": {"barcode_sequence": "ACGT"}}
        for name, (sample, _) in names.items()
    }
    datasets = [{"read_groups": [f"X.{name}"], "read_count": n} for name, (_, n) in names.items()]
    (tmp_path / "basecaller_results").mkdir()
    path = tmp_path / "basecaller_results" / "datasets_basecaller.json"
    path.write_text(json.dumps({"datasets": datasets, "read_groups": groups}))
    page = Page(write_report(tmp_path))
    assert "2 more barcodes of the set have neither reads nor a sample" in page.words
    assert "bc_1" in page.words and "bc_2 liver 0" in page.words and "bc_3" not in page.words


def test_the_page_is_named_after_the_run(tmp_path):
    basecaller_json(tmp_path, {"BaseCaller": {"run_id": "ABCDE", "num_flows": 260}})
    params = {"expName": "R_2011_04_07", "resultsName": "again", "exp_json": {"date": "2011-04-07T12:44:38Z"}}
    (tmp_path / "ion_params_00.json").write_text(json.dumps(params))
    page = Page(write_report(tmp_path))
    assert "R_2011_04_07 result again, run id ABCDE, sequenced 2011-04-07, 260 flows" in page.words


@pytest.mark.parametrize(("count", "text"), [(43, "43"), (6362, "6.4k"), (9999, "10.0k"), (94_400, "94k")])
def test_counts_below_bars_stay_apart(count, text):
    assert _short(count) == text and len(text) <= 5


def test_a_result_without_reads(tmp_path):
    (tmp_path / "basecaller_results").mkdir()
    header = {"HD": {"VN": "1.4"}, "RG": [{"ID": "X", "FO": "TACG", "KS": "TCAG"}]}
    with pysam.AlignmentFile(str(tmp_path / "basecaller_results/rawlib.basecaller.bam"), "wb", header=header):
        pass
    page = Page(write_report(tmp_path, truth=score_calls([], {(0, 0): "ACGT"})))
    assert "The result has no library reads." in page.words
    assert "No well with a known sequence gave a read." in page.words


def test_what_signal_processing_says_of_itself_is_shown(tmp_path):
    (tmp_path / "sigproc_results").mkdir()
    regions = [{"t0_s": 1.25, "tau_bead_s": 0.5, "tau_empty_s": None}, {"t0_s": 1.5, "tau_bead_s": 0.5}]
    metrics = {"zero_mer_residual": [0.02, 0.03], "pinned_per_flow": [5, 0], "library_key_snr": 21.37}
    (tmp_path / "sigproc_results/sigproc.json").write_text(json.dumps(metrics | {"regions": regions}))
    page = Page(write_report(tmp_path))
    assert "median 21.4" in page.words and "1.25 to 1.5 by region" in page.words
    assert any("5 wells saturate" in image["alt"] for image in page.all("img"))


def test_broken_files_are_named_and_the_rest_is_shown(tmp_path):
    (tmp_path / "basecaller_results").mkdir()
    (tmp_path / "sigproc_results").mkdir()
    (tmp_path / "basecaller_results/BaseCaller.json").write_text("{ no JSON")
    (tmp_path / "basecaller_results/rawlib.basecaller.bam").write_bytes(b"no BAM" * 20)
    (tmp_path / "sigproc_results/avgNukeTrace_TCAG.txt").write_text("0 1.0 x\n")
    write_mask(tmp_path / "sigproc_results/analysis.bfmask.bin", Mask(np.full((8, 9), WellFlag.EMPTY)))
    page = Page(write_report(tmp_path))
    for name in ("BaseCaller.json", "rawlib.basecaller.bam", "avgNukeTrace_TCAG.txt"):
        assert name in page.words
    assert "100.0 %" in page.words


@pytest.mark.parametrize("content", ['{"Phasing": 3, "Filtering": []}', '{"Filtering": {"qv_histogram": ["x"]}}', "[]"])
def test_json_of_another_shape_does_no_harm(tmp_path, content):
    (tmp_path / "basecaller_results").mkdir()
    for name in ("BaseCaller.json", "datasets_basecaller.json"):
        (tmp_path / "basecaller_results" / name).write_text(content)
    (tmp_path / "run.json").write_text('{"stages": {"a": null, "b": {"seconds": "<b>"}}, "options": 5}')
    Page(write_report(tmp_path))


def test_datasets_cannot_name_files_outside_the_result(tmp_path):
    (tmp_path / "out.bam").write_bytes(b"")
    folder = tmp_path / "result/basecaller_results"
    folder.mkdir(parents=True)
    listed = [{"basecaller_bam": name} for name in ("../../out.bam", str(tmp_path / "out.bam"), "..")]
    (folder / "datasets_basecaller.json").write_text(json.dumps({"datasets": listed}))
    assert Result(tmp_path / "result").library_bams == []


def test_the_same_result_gives_the_same_page(tmp_path):
    (tmp_path / "sigproc_results").mkdir()
    flags = np.where(np.arange(400).reshape(20, 20) % 3, WellFlag.BEAD | WellFlag.LIVE | WellFlag.LIB, WellFlag.EMPTY)
    write_mask(tmp_path / "sigproc_results/bfmask.bin", Mask(flags))
    first = write_report(tmp_path).read_bytes()
    assert write_report(tmp_path).read_bytes() == first


def test_a_result_that_is_no_directory_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="is no directory"):
        write_report(tmp_path / "nowhere")


def test_every_well_has_one_class():
    flags = [
        WellFlag.EMPTY | WellFlag.REFERENCE,
        WellFlag.BEAD | WellFlag.LIVE | WellFlag.LIB,
        WellFlag.BEAD | WellFlag.LIVE | WellFlag.TF,
        WellFlag.BEAD | WellFlag.LIVE,
        WellFlag.BEAD | WellFlag.DUD,
        WellFlag.PINNED | WellFlag.EMPTY,
        WellFlag.EXCLUDE,
    ]
    classes = plots.well_classes(Mask(np.array([flags])))[0]
    names = [plots.WELL_CLASSES[index][0] for index in classes]
    assert names == ["empty", "library", "test fragment", "live, no key matched", "dud", "pinned", "excluded"]


def test_cells_of_a_map_are_means_also_at_the_far_edges():
    values = np.arange(35).reshape(5, 7) % 2 == 0
    cells = plots._cell_means(values, 4)
    assert_allclose(cells[1, 1], values[4:, 4:].mean())
    assert_allclose(cells[0, 0], values[:4, :4].mean())


def test_traces_of_a_label_are_averaged(tmp_path):
    path = tmp_path / "avgNukeTrace_TCAG.txt"
    path.write_text("0 1 2 3\n1 0 0 0\nT 1 2 3\nT 3 4 5\n")
    traces = read_key_traces(path)
    assert traces.key == "TCAG"
    assert_array_equal(traces.by_nuc["T"], [2, 3, 4])
    assert sorted(traces.by_flow) == [0, 1]


def write_read(path, bases, signal, phase=(0, 0, 0), first_flow=1):
    header = {"HD": {"VN": "1.4"}, "RG": [{"ID": "X", "FO": "TACGTACGTACG", "KS": "T"}]}
    with pysam.AlignmentFile(str(path), "wb", header=header) as out:
        read = pysam.AlignedSegment()
        read.query_name, read.flag, read.query_sequence = "X:00000:00000", 4, bases
        read.query_qualities = pysam.qualitystring_to_array("+" + "5" * (len(bases) - 1))
        units = array("h", np.round(256 * np.asarray(signal)).astype(int).tolist())
        read.set_tags([("RG", "X"), ("ZF", first_flow), ("ZP", array("f", phase)), ("ZM", units)])
        out.write(read)
    return path


SIGNAL = [1, 1, 2.125, -0.0625, 0.9375, 1] + [0] * 6


def test_lengths_qualities_and_signals_of_reads(tmp_path):
    reads = gather_reads([write_read(tmp_path / "rawlib.basecaller.bam", "ACCTA", SIGNAL)])
    # Flows 2 (CC), 3 (none) and 4 (T) lie between the first and the last called flow.
    assert reads.signal_counts.sum(axis=1).tolist() == [1, 1, 1, 0, 0, 0, 0]
    assert reads.length_counts.tolist() == [0, 0, 0, 0, 0, 1]
    assert reads.quality_counts[[10, 20]].tolist() == [1, 4]


def test_residuals_are_signal_minus_prediction(tmp_path):
    reads = gather_reads([write_read(tmp_path / "rawlib.basecaller.bam", "ACCTA", SIGNAL)])
    assert_allclose(reads.residual_mean, [0, 0, 0.125, -0.0625, -0.0625], atol=1e-6)
    assert_allclose(reads.residual_rms, [0, 0, 0.125, 0.0625, 0.0625], atol=1e-6)


@pytest.mark.parametrize("droop", [0.0, 0.02])
def test_residuals_of_signals_with_droop_and_corrected_for_it(tmp_path, droop):
    flow_order = FlowOrder("TACG", 12)
    called = flow_order.flowgram("TACCTA")
    runs = np.flatnonzero(called)
    signal, _ = predict_signal(flow_order, [0, len(runs)], runs, called[runs], [(0.01, 0.02, droop)])
    path = write_read(tmp_path / "rawlib.basecaller.bam", "ACCTA", signal[0], (0.01, 0.02, 0.02))
    assert gather_reads([path]).residual_rms.max() < 1 / 256


def test_reads_whose_first_flow_does_not_fit_are_left_out(tmp_path):
    reads = gather_reads([write_read(tmp_path / "rawlib.basecaller.bam", "ACCTA", SIGNAL, first_flow=5)])
    assert not reads.signal_counts.any() and not len(reads.residual_moments)


def test_interval_of_a_share_holds_it():
    lower, upper = wilson_interval(np.array([0, 5, 100]), np.array([100, 100, 100]))
    assert_allclose(lower, [0, 0.0215, 0.9630], atol=2e-4)
    assert_allclose(upper, [0.0370, 0.1118, 1], atol=2e-4)


def test_colours_stay_apart_from_white_paper():
    ratios = [_contrast(colour) for name, _, colour in plots.WELL_CLASSES if name not in ("empty", "excluded")]
    assert min(ratios) > 2


def _contrast(colour):
    assert re.fullmatch("#[0-9a-f]{6}", colour)
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 1.05 / (float(np.dot(linear, [0.2126, 0.7152, 0.0722])) + 0.05)


def test_large_files_give_more_of_the_reads(tmp_path):
    header = {"HD": {"VN": "1.4"}}
    random = np.random.default_rng(1)
    for name, n_reads, length in (("a", 3000, 50), ("b", 1000, 80)):
        with pysam.AlignmentFile(str(tmp_path / f"{name}.bam"), "wb", header=header) as out:
            for row in range(n_reads):
                read = pysam.AlignedSegment()
                read.query_name, read.flag = f"X:{row}:0", 4
                read.query_sequence = "".join(random.choice(list("ACGT"), length))
                out.write(read)
    reads = gather_reads([tmp_path / "a.bam", tmp_path / "b.bam"], n_most=400)
    assert 395 <= reads.n_reads <= 400
    assert 230 < reads.length_counts[50] < 290
