"""`LooseVersion`, comparable whatever it holds."""

from ionanalysis.plugin.versions import LooseVersion

StrictVersion = LooseVersion
