"""Section ``BaseCaller`` of BaseCaller.json and PhaseEstimates.json: what ran on what (basecaller.md 8.6)."""

import platform
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ionanalysis import __version__
from ionanalysis.basecaller.inputs import BasecallerInputs
from ionanalysis.flows import FlowOrder


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """What is known of a run of the stage from its beginning."""

    inputs: BasecallerInputs
    output_dir: Path
    flow_order: FlowOrder
    chip: str
    shape: tuple[int, int]
    """Rows and columns of the block."""
    key_normalisation: str
    started: datetime
    n_workers: int = 1
    command_line: str = ""
    version: str = __version__

    def about(self):
        """The section; the run ends now."""
        inputs = self.inputs
        ended = datetime.now().astimezone()
        seconds = int((ended - self.started).total_seconds())
        chip = self.chip or "unknown"
        folders = dict.fromkeys(str(Path(path).parent) for path in inputs.wells_paths)
        return {
            "basecalling_duration": seconds,
            "block_col_offset": inputs.offset[1],
            "block_col_size": self.shape[1],
            "block_row_offset": inputs.offset[0],
            "block_row_size": self.shape[0],
            "build_number": "0",
            "chip_type": "p" + chip[1:] if chip.startswith("P") else chip,
            "command_line": self.command_line,
            "dephaser": "ionanalysis",
            "end_time": ended.strftime("%Y-%m-%dT%H:%M:%S"),
            "filename_mask": [str(path) for path in inputs.mask_paths],
            "filename_wells": [str(path) for path in inputs.wells_paths],
            "flow_order": self.flow_order.letters,
            "git_hash": "",
            "host_name": platform.node(),
            "inline_control": False,
            "inline_control_reference": "",
            "input_dir": list(folders),
            "keynormalizer": self.key_normalisation,
            "lib_key": inputs.library_key,
            "num_flows": len(self.flow_order),
            "num_threads": self.n_workers,
            "output_dir": str(self.output_dir),
            "run_id": inputs.run_id,
            "start_time": self.started.strftime("%Y-%m-%dT%H:%M:%S"),
            "tf_key": inputs.tf_key,
            "total_duration": seconds,
            "version": self.version,
        }
