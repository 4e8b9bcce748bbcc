"""The package that plugins written for Torrent Suite import. A thin front of `ionanalysis.plugin`.

It is on the path of plugin processes only (see docs/plugins.md), never installed beside other packages.
"""

import os
from pathlib import Path

version = "5.18.1"
"""The release of Torrent Suite whose contract this package keeps."""

referenceBasePath = os.environ.get("IONANALYSIS_REFERENCES", "/results/referenceLibrary/")
picardPath = os.environ.get("IONANALYSIS_PICARD", "/opt/picard/picard-tools-current")
pipelineScriptPath = str(Path(__file__).parent)
