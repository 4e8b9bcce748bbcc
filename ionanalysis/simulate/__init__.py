"""Synthetic chips with known truth. Imports no stage of the analysis: it is their outside check.

The module itself can be called, as `simulate` can: ``ionanalysis.simulate(size=(200, 200))`` works whether the
name was first met as the function or as this module.
"""

import sys
from types import ModuleType

from ionanalysis.options.simulate import SimulateOptions, simulate_options
from ionanalysis.simulate.chip import Chip, simulate, simulate_chip

__all__ = ["Chip", "SimulateOptions", "simulate", "simulate_chip", "simulate_options"]


class _CallableModule(ModuleType):
    def __call__(self, *args, **kwargs):
        return simulate(*args, **kwargs)


sys.modules[__name__].__class__ = _CallableModule
