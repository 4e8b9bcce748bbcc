"""Where things live that belong to no result."""

import os
from pathlib import Path


def home():
    """``$IONANALYSIS_HOME``, else ``~/.ionanalysis``."""
    return Path(os.environ.get("IONANALYSIS_HOME") or Path.home() / ".ionanalysis")


def reference_library():
    """Folder of reference genomes, ``REF/REF.fasta`` below it: ``$IONANALYSIS_REFERENCES``, else in `home`."""
    return Path(os.environ.get("IONANALYSIS_REFERENCES") or home() / "references")
