"""The whole way from a run directory to a result: the only place that knows every stage, in order."""

from ionanalysis.pipeline.engine import PipelineResult, run_pipeline
from ionanalysis.pipeline.request import PipelineRequest
from ionanalysis.pipeline.stages import STAGE_NAMES, STAGES, Stage, option_classes

__all__ = [
    "STAGES",
    "STAGE_NAMES",
    "PipelineRequest",
    "PipelineResult",
    "Stage",
    "option_classes",
    "run_pipeline",
]
