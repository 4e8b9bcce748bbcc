"""A region looked at closely: traces of wells lie on their fits, and the page on a well tells what the fit says."""

import numpy as np
import pytest

from ionanalysis.blocks import Block
from ionanalysis.cli.main import main
from ionanalysis.errors import InputError
from ionanalysis.io.mask import WellFlag, read_mask
from ionanalysis.report.well_page import write_well_page
from ionanalysis.run import open_run
from ionanalysis.sigproc.region_view import view_region

pytestmark = pytest.mark.golden


@pytest.fixture(scope="module")
def view(raw48):
    """A corner of the golden run."""
    return view_region(open_run(raw48), 30, 5, n_threads=1)


def wells_of(view, raw48, flag, n_wells=4):
    """Some wells that truly are of a kind, and were found to be."""
    truth = read_mask(raw48 / "truth/analysis.bfmask.bin")
    found = np.argwhere(truth.matches(flag) & view.signals.mask.matches(flag))
    return [view.well(*place) for place in found[:: len(found) // n_wells][:n_wells].tolist()]


def test_fits_leave_the_noise_of_frames(view, raw48):
    noise = view.signals.beads.noise[0]
    for well in wells_of(view, raw48, WellFlag.LIB):
        taken = well.signal > 0.5
        assert taken[[0, 2, 5, 7]].all() and not taken[[1, 3, 4, 6]].any()
        assert (well.residual_rms[~taken] < 1.3 * noise).all()
        # Heights are signals before they are made alike: of 1-mers alone, the well's size is all there is to it.
        np.testing.assert_allclose(well.height[:7], well.signal[:7] * well.facts["copies"], atol=0.08)
        assert np.median(well.residual_rms[taken]) < 1.5 * noise
        # The fit is told from the background by what bases add, about ten times the noise.
        added = np.nanmax(np.abs(well.fit - well.background), axis=1)
        assert (added[taken] > 10 * noise).all()


def test_empty_wells_follow_the_empties(view, raw48):
    for well in wells_of(view, raw48, WellFlag.EMPTY):
        assert not well.signal.any() and well.facts["copies"] == -1
        assert (well.residual_rms < 1.4 * view.signals.beads.noise[0]).all() and np.abs(well.height).max() < 0.3
        assert np.abs(well.background - view.empties).max() < 0.15 * view.empties.max()


def test_a_well_of_another_place_is_refused(view, raw48):
    assert view.block == Block(0, 0, 48, 48)
    with pytest.raises(InputError, match="well 48:0 is not in the region"):
        view.well(48, 0)
    with pytest.raises(InputError, match="well 0:48 is not on the chip, which has 48 rows and 48 columns"):
        view_region(view.run, 0, 48)


def test_the_page_tells_what_was_fitted(view, raw48, tmp_path):
    live, empty = (wells_of(view, raw48, flag, 1)[0] for flag in (WellFlag.LIB, WellFlag.EMPTY))
    for well in (live, empty):
        write_well_page(view, well.row, well.col, tmp_path / "page.html", range(7))
        page = (tmp_path / "page.html").read_text()
        assert f"<title>Well {well.row}:{well.col}</title>" in page
        assert f"{well.facts['time_constant_s']:.3f}" in page and f"flow 6 C: {well.signal[6]:.2f} bases" in page
        assert ("The well is not live" in page) == (well is empty)
        assert page.count("<img ") == 2 + 4 + (well is live)


def test_flows_that_are_not_there_are_refused(raw48, tmp_path, capsys):
    words = ["well", str(raw48), "0", "0", "-o", str(tmp_path / "page.html"), "--flows"]
    assert main([*words, "38-40"]) == 2
    assert "--flows 38-40: the run has flows 0 to 39" in capsys.readouterr().err
    assert main([*words, "all"]) == 2
