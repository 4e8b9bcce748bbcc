"""Calibration models in force: what calling needs of them for each read (basecaller.md 10.3, 10.4)."""

from dataclasses import dataclass, field

import numpy as np

from ionanalysis.basecaller.polish import polish_runs
from ionanalysis.basecaller.solve import ReadResponse, linear_response
from ionanalysis.errors import InputError, UsageError
from ionanalysis.flows import MAX_RUN, NUCS
from ionanalysis.io.calibration import Calibration, HistogramCalibration, LinearCalibration, read_calibration
from ionanalysis.io.calibration_text import read_histogram_text, read_linear_text
from ionanalysis.options.calibration import CalibrationOptions

_LEAST_STEP = 0.3
"""However odd a model, one base more gives so much signal more; the solver needs signals that rise."""


def load_calibration(options):
    """The models that options name; None if they name none.

    Parameters
    ----------
    options : CalibrationOptions

    Returns
    -------
    Calibration or None

    Raises
    ------
    InputError
        If a file cannot be used.
    UsageError
        If two files give the same model.
    """
    if options.calibration_json and (options.model_file or options.calibration_file):
        raise UsageError("--calibration-json holds both models; give it, or --model-file and --calibration-file.")
    if options.calibration_json:
        return read_calibration(options.calibration_json)
    if not (options.model_file or options.calibration_file):
        return None
    return Calibration(
        linear=read_linear_text(options.model_file) if options.model_file else None,
        histogram=read_histogram_text(options.calibration_file) if options.calibration_file else None,
    )


@dataclass(frozen=True, eq=False)
class CallCalibration:
    """Calibration of the reads of one block or file.

    Attributes
    ----------
    linear : LinearCalibration or None
    histogram : HistogramCalibration or None
    n_flows : tuple of int
        Flows of the run that are used, and all; a model for other numbers is refused (basecaller.md 10.5).
    offset : (int, int)
        First row and column of the block on the chip, by which models count.
    options : CalibrationOptions
    """

    linear: LinearCalibration | None
    histogram: HistogramCalibration | None
    n_flows: tuple[int, ...]
    offset: tuple[int, int] = (0, 0)
    options: CalibrationOptions = field(default_factory=CalibrationOptions)

    def __post_init__(self):
        if self.linear is not None and self.linear.n_flows not in self.n_flows:
            raise InputError(
                f"the calibration of {self.linear.block} was made for {self.linear.n_flows} flows, the run has "
                f"{self.n_flows[-1]}; give the one that was made for this run, or none."
            )

    def of_reads(self, row, col, flow_order, phase_values, calibrated, spare=None):
        """What `call_block` needs to call reads with this calibration.

        Parameters
        ----------
        row, col : array_like of shape (n,), int
            Wells, in block coordinates.
        flow_order : FlowOrder
        phase_values : ndarray of shape (n, 3), float64
            CF, IE, DR of each read.
        calibrated : array_like of shape (n,), bool
            Library reads.
        spare : ndarray of shape (4, MAX_RUN + 2), float32, optional
            Response of the other reads, and of all if there is no linear model.

        Returns
        -------
        dict
            Arguments ``response`` and ``polish``.
        """
        response = self.response(row, col, flow_order, calibrated, spare)
        if self.histogram is None:
            return {"response": response}
        boundaries, n_bins = self._boundaries(self.histogram, row, col, flow_order), self.histogram.n_bins
        polished = np.asarray(calibrated) | self.options.calibrate_tfs

        def polish(solved):
            polish_runs(solved, polished, flow_order, phase_values, boundaries, n_bins, self.options, response)

        return {"response": response, "polish": polish}

    def _boundaries(self, model, row, col, flow_order):
        """Boundaries of the histogram model by read and flow, int16 (n, n_flows, n_lengths + 2)."""
        region = model.region_of(np.asarray(row) + self.offset[0], np.asarray(col) + self.offset[1])
        return model.boundaries[region][:, model.window_of(len(flow_order)), flow_order.bases]

    def response(self, row, col, flow_order, calibrated, spare=None):
        """Signal of runs of each read, as `solve_runs` takes it.

        Parameters
        ----------
        row, col : array_like of shape (n,), int
            Wells, in block coordinates.
        flow_order : FlowOrder
        calibrated : array_like of shape (n,), bool
            Reads that the linear model is for: library reads.
        spare : ndarray of shape (4, MAX_RUN + 2), float32, optional
            Response of the others, and of all if there is no linear model; `linear_response` by default.

        Returns
        -------
        ReadResponse, or `spare`
        """
        if self.linear is None:
            return spare
        region = self.linear.region_of(np.asarray(row) + self.offset[0], np.asarray(col) + self.offset[1])
        return linear_model_response(self.linear, region, flow_order, calibrated, spare)


def linear_model_response(model, region, flow_order, calibrated=None, spare=None):
    """`ReadResponse` of a linear model for reads of given regions.

    Parameters
    ----------
    model : LinearCalibration
    region : (region_row, region_col), array_like of shape (n,), int
        Of each read (`LinearCalibration.region_of`).
    flow_order : FlowOrder
        Of no more flows than the model has.
    calibrated : array_like of shape (n,), bool, optional
        Reads that the model is for; all by default.
    spare : ndarray of shape (4, MAX_RUN + 2), float32, optional
        Response of the others.

    Notes
    -----
    The original transforms the measurement of a run's own flow by the gain and offset of its length. Here the run
    itself gives gain * length in place of length: its strands that lag or lead take the same nucleotide, and show the
    same gain, in their flows. The offset of length 0 is taken out of every flow; that of longer runs, where a model
    has another, counts as signal of the run. Each path of the search so has its own coefficients, which the shared
    measurement of the original does not allow (basecaller.md 13.5).
    """
    n_rows, n_cols, n_windows = model.gain.shape[:3]
    length = np.arange(MAX_RUN + 1, dtype=np.float64)
    sizes = model.gain * length + (model.offset - model.offset[..., :1])
    sizes[..., 0] = 0.0
    last = sizes[..., -1:] + model.gain[..., -1:]
    steps = np.maximum(np.diff(np.concatenate([sizes, last], axis=-1), axis=-1), _LEAST_STEP)
    sizes = np.concatenate([np.zeros((*steps.shape[:-1], 1)), np.cumsum(steps, axis=-1)], axis=-1)
    sizes = sizes.reshape(n_rows * n_cols, n_windows * len(NUCS), MAX_RUN + 2)
    window = np.clip(np.searchsorted(model.first_flows, np.arange(len(flow_order)), "right") - 1, 0, None)
    offset = model.offset[..., 0].reshape(n_rows * n_cols, n_windows, len(NUCS))[:, window, flow_order.bases]
    cell = np.asarray(region[0]) * n_cols + np.asarray(region[1])
    # One model more, for reads that the calibration is not for.
    others = np.tile(linear_response() if spare is None else spare, (1, n_windows, 1))
    if calibrated is not None:
        cell = np.where(calibrated, cell, len(sizes))
    return ReadResponse(
        sizes=np.ascontiguousarray(np.concatenate([sizes, others]), np.float32),
        offset=np.concatenate([offset, np.zeros((1, len(flow_order)))]).astype(np.float32),
        model=cell.astype(np.int32),
        table=(window * len(NUCS) + flow_order.bases).astype(np.int16),
    )
