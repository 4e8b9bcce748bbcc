"""The options of base calling, of all its parts together."""

from dataclasses import dataclass, field, fields
from typing import get_type_hints

from ionanalysis.options.barcodes import BarcodeOptions
from ionanalysis.options.basecaller import PhaseOptions, SolverOptions
from ionanalysis.options.calibration import CalibrationOptions
from ionanalysis.options.clonality import ClonalityOptions
from ionanalysis.options.filters import FilterOptions, TrimOptions
from ionanalysis.options.flow_tags import FlowTagOptions
from ionanalysis.options.stage import StageOptions


@dataclass(frozen=True, kw_only=True)
class BasecallerOptions:
    """The options of every part of base calling."""

    stage: StageOptions = field(default_factory=StageOptions)
    phase: PhaseOptions = field(default_factory=PhaseOptions)
    solver: SolverOptions = field(default_factory=SolverOptions)
    filters: FilterOptions = field(default_factory=FilterOptions)
    trims: TrimOptions = field(default_factory=TrimOptions)
    barcodes: BarcodeOptions = field(default_factory=BarcodeOptions)
    clonality: ClonalityOptions = field(default_factory=ClonalityOptions)
    flow_tags: FlowTagOptions = field(default_factory=FlowTagOptions)
    calibration: CalibrationOptions = field(default_factory=CalibrationOptions)

    @classmethod
    def classes(cls):
        """The class of each part, by the part's name."""
        kinds = get_type_hints(cls)
        return {part.name: kinds[part.name] for part in fields(cls)}

    @classmethod
    def from_classes(cls, option):
        """Built of what ``option(class)`` gives for the class of each part."""
        return cls(**{name: option(kind) for name, kind in cls.classes().items()})
