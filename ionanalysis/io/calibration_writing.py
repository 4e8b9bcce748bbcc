"""Calibration models as the original writes them, in files and in headers of BAM files (basecaller.md 10.5)."""

import numpy as np

from ionanalysis.flows import NUCS
from ionanalysis.io.calibration import HISTOGRAM_MAGIC, LINEAR_MAGIC
from ionanalysis.io.jsonfile import write_json

_DIGITS = 6


def write_calibration(path, calibration, about=None, *, training=None):
    """Write a `Calibration.json`, whole or not at all.

    Parameters
    ----------
    path : path
    calibration : Calibration
        Models that are None are left out.
    about : dict, optional
        Section `Calibration`: what made the file, from how many reads.
    training : dict, optional
        Further entries of `LinearModel`: how its numbers were found.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    content: dict = {"Calibration": about or {}}
    if calibration.linear is not None:
        content["LinearModel"] = linear_json(calibration.linear) | (training or {})
    if calibration.histogram is not None:
        content["HPHistogram"] = histogram_json(calibration.histogram)
    write_json(path, content)


def linear_json(model):
    """The JSON object of a `LinearCalibration`, as in `Calibration.json` and, on one line, in comment lines @CO."""
    n_rows, n_cols, n_windows = model.gain.shape[:3]
    rows, cols = (_spans(*pair) for pair in ((model.first_rows, model.stop[0]), (model.first_cols, model.stop[1])))
    flows = _spans(model.first_flows, model.n_flows)
    least, most = model.lengths
    cells = []
    for col, row, window, nuc in np.ndindex(n_cols, n_rows, n_windows, len(NUCS)):
        place = {
            "flowBase": ord(NUCS[nuc]),
            "flowStart": flows[window][0],
            "flowEnd": flows[window][1],
            "xMin": cols[col][0],
            "xMax": cols[col][1],
            "yMin": rows[row][0],
            "yMax": rows[row][1],
        }
        gain, offset = model.gain[row, col, window, nuc], model.offset[row, col, window, nuc]
        cells += [
            place | {"refHP": length, "paramA": _short(gain[length]), "paramB": _short(offset[length])}
            for length in range(min(least, most), most)
        ]
    block = {
        "flowStart": 0,
        "flowEnd": model.n_flows - 1,
        "flowSpan": _largest(flows),
        "xMin": cols[0][0],
        "xMax": cols[-1][1],
        "xSpan": _largest(cols),
        "yMin": rows[0][0],
        "yMax": rows[-1][1],
        "ySpan": _largest(rows),
        "max_hp_calibrated": most,
        "min_hp_calibrated": least,
        "modelParameters": cells,
    }
    return {
        "MagicCode": LINEAR_MAGIC,
        "MasterKey": model.block,
        "MasterCol": cols[0][0],
        "MasterRow": rows[0][0],
        model.block: block,
    }


def histogram_json(model):
    """The JSON object of a `HistogramCalibration`."""
    n_rows, n_cols, n_windows, _, n_boundaries = model.boundaries.shape
    height, width = -(-model.size[0] // n_rows), -(-model.size[1] // n_cols)
    regions = [
        {nuc: model.boundaries[row, col, window, code].tolist() for code, nuc in enumerate(NUCS)}
        | {
            "element_start_xyflow": [
                model.offset[1] + col * width,
                model.offset[0] + row * height,
                window * model.window,
            ]
        }
        for row, col, window in np.ndindex(n_rows, n_cols, n_windows)
    ]
    return {
        "MagicCode": HISTOGRAM_MAGIC,
        "block_offset_x": model.offset[1],
        "block_offset_y": model.offset[0],
        "block_size_x": model.size[1],
        "block_size_y": model.size[0],
        "num_regions_x": n_cols,
        "num_regions_y": n_rows,
        "num_hps": n_boundaries - 2,
        "num_bins": model.n_bins,
        "flow_window_size": model.window,
        "num_flow_windows": n_windows,
        "RegionData": regions,
    }


def _spans(firsts, stop):
    """First and last of each region; the last region ends before `stop`."""
    firsts = np.asarray(firsts).tolist()
    return list(zip(firsts, [*(first - 1 for first in firsts[1:]), int(stop) - 1], strict=True))


def _largest(spans):
    return max(last - first + 1 for first, last in spans)


def _short(value):
    return round(float(value), _DIGITS)
