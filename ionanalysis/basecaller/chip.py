"""A block opened for calling: its signals, its mask, the wells to call, and its phase."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import sched_getaffinity

import numpy as np

from ionanalysis.basecaller.choice import WellChoice, choose_wells, tiles_within
from ionanalysis.basecaller.classes import ReadClasses, read_classes
from ionanalysis.basecaller.inputs import open_inputs
from ionanalysis.basecaller.phase_estimate import ReadSource, phase_of
from ionanalysis.basecaller.region import Region
from ionanalysis.basecaller.signals import SignalSource
from ionanalysis.io.mask import Mask
from ionanalysis.options.stage import StageOptions


@dataclass(frozen=True, eq=False)
class OpenChip:
    """What is open of a block; arrays of one value per well, never the signals of all.

    Attributes
    ----------
    source : SignalSource
    mask : Mask
    files : ndarray of shape (n_rows, n_cols), uint8
        Which wells files count for each well.
    classes : ReadClasses
        Of all wells of the block.
    choice : WellChoice
        The wells to call.
    options : StageOptions
    """

    source: SignalSource
    mask: Mask
    files: np.ndarray
    classes: ReadClasses
    choice: WellChoice
    options: StageOptions

    @property
    def flow_order(self):
        return self.source.flow_order

    def phase(self, options, n_threads=None):
        """CF, IE, DR of the block, from all usable library wells of the rectangle that is called.

        Parameters
        ----------
        options : PhaseOptions
        n_threads : int, optional
            All cores by default.
        """
        with ThreadPoolExecutor(n_threads or len(sched_getaffinity(0))) as pool:
            return phase_of(self.reads(), options, map_regions=pool.map)

    def reads(self):
        """All usable library wells of the rectangle that is called, to learn from."""
        usable = np.zeros(self.mask.shape, bool)
        area = self.choice.area.slices
        usable[area] = (self.classes.library & self.classes.valid)[area]
        return ReadSource(self._read, usable, self.flow_order, self.source.library_key)

    def _read(self, block, flows):
        return self.source.read(block, self.classes.within(block), self.files[block.slices], flows)[0]

    def regions(self):
        """The regions to call, in the order in which their reads are written."""
        choice = self.choice
        blocks = tiles_within(choice.area, self.mask.shape, self.options.region_rows, self.options.region_cols)
        return [
            Region(
                block,
                self.mask.flags[block.slices],
                choice.called[block.slices],
                choice.sampled[block.slices],
                self.files[block.slices],
            )
            for block in blocks
        ]


def open_chip(inputs, options):
    """Open the files of a block.

    Parameters
    ----------
    inputs : BasecallerInputs
    options : StageOptions

    Raises
    ------
    InputError
        If files are missing or damaged, or do not fit together.
    UsageError
        If the options ask for wells that the block does not have.
    """
    parts, mask, files = open_inputs(inputs, ignore_washouts=options.ignore_washouts)
    flow_order = parts[0].flow_order
    source = SignalSource(
        parts,
        flow_order.limited(options.flowlimit or len(flow_order)),
        inputs.library_key,
        inputs.tf_key,
        options.wells_normalisation,
        options.compress_multi_taps,
    )
    classes = read_classes(mask, ignore_washouts=options.ignore_washouts)
    return OpenChip(source, mask, files, classes, choose_wells(classes, options, inputs.offset), options)
