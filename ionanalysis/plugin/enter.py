"""Start a launch script with its variables set: ``python -m … TIER SCRIPT -j startplugin.json``.

The script calls this itself when it is run by hand or by a queue.
"""

import os
import sys
from pathlib import Path

from ionanalysis.errors import IonAnalysisError, UsageError
from ionanalysis.io.jsonfile import read_json
from ionanalysis.plugin.environment import plugin_environment
from ionanalysis.plugin.homes import reference_library
from ionanalysis.plugin.script import IN_ENVIRONMENT


def environment_of(tier, arguments, base):
    """Variables for a script that is called with `arguments` (``-j FILE``, else `startplugin.json` here)."""
    path = Path(arguments[arguments.index("-j") + 1] if "-j" in arguments[:-1] else "startplugin.json").absolute()
    content = read_json(path)
    try:
        job_id = base.get("JOB_ID") or base.get("SLURM_JOB_ID") or content["runinfo"]["pluginresult"]
        variables = plugin_environment(
            content, path, tier=tier, base=base, job_id=job_id, reference_library=reference_library()
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path}: is no startplugin.json ({error!r} is missing); launch the plugin again.") from error
    return variables | {IN_ENVIRONMENT: "1"}


def main():
    tier, script, *arguments = sys.argv[1:]
    try:
        variables = environment_of(tier, arguments, os.environ)
    except IonAnalysisError as error:
        print(f"{script}: {error}", file=sys.stderr)
        return error.exit_code
    os.execvpe("bash", ["bash", script, *arguments], variables)


if __name__ == "__main__":
    sys.exit(main())
