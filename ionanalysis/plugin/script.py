"""The shell script that runs a plugin: what its authors debug with (plugin.md 6.1, 2.9).

No value from a configuration stands in its text. Variables are in the environment: set by the launcher, or, where
the script is started by hand or by a queue, by `ionanalysis.plugin.enter`.
"""

import re
import sys
from shlex import quote

from ionanalysis.errors import InputError
from ionanalysis.plugin.log import LOG_NAME

IN_ENVIRONMENT = "IONANALYSIS_PLUGIN_ENVIRONMENT"
"""Variable that tells the script that all others are set."""

TIMED_OUT_LINE = "ERROR: the plugin has reached its time limit."
"""What a script says last when its time is over; it leaves with 0 then, as the original's did."""

_RULE = "=" * 79


def script_name(plugin_name):
    """Name of the script in the working directory."""
    return f"ion_plugin_{plugin_name}_launch.sh"


def launch_script(info, *, tier="compat", memory=8 << 30, seconds=86400, python=sys.executable):
    """Text of the launch script of a plugin.

    Parameters
    ----------
    info : PluginInfo
    tier : str
        How its Python is set up (`ionanalysis.plugin.interpreter`).
    memory : int
        Bytes that a queue is asked for.
    seconds : float
        Time that a queue is asked for.
    python : str
        Interpreter of ``NAME.py``.

    Raises
    ------
    InputError
        If the plugin's program is not there any more.
    """
    payload, directives = _payload(info, python)
    return _SCRIPT.format(
        directives="\n".join([*_queue_directives(info.name, memory >> 20, int(seconds)), *directives]),
        version=quote(info.version),
        python=quote(python),
        tier=quote(tier),
        name=quote(info.name),
        rule=_RULE,
        timed_out=TIMED_OUT_LINE,
        payload=payload,
        in_environment=IN_ENVIRONMENT,
    )


def _queue_directives(name, mebibytes, seconds):
    """What Grid Engine and Slurm read when the script is submitted to them; both warn a plugin before its time ends."""
    memory = ",".join(f"{resource}={mebibytes}M" for resource in ("mem_free", "h_vmem", "s_vmem"))
    return [
        "#$ -cwd",
        "#$ -j no",
        f"#$ -l {memory},h_stack=16M",
        f"#$ -l s_rt={seconds},h_rt={seconds + 5}",
        f"#SBATCH --job-name=ion_plugin_{name}",
        f"#SBATCH --mem={mebibytes}M",
        # Slurm counts in minutes; the signal comes a minute before the end.
        f"#SBATCH --time={-(-seconds // 60) + 1}",
        "#SBATCH --signal=B:USR1@60",
        f"#SBATCH --output={LOG_NAME}",
    ]


def _payload(info, python):
    """The lines that are the plugin's own, and the queue directives among them."""
    if not info.script.is_file():
        raise InputError(f"{info.script}: is not there any more; install {info.name} again.")
    if not info.is_shell:
        return f"{quote(python)} -u {quote(str(info.script))} -vv", []
    lines = info.script.read_text("utf-8", errors="surrogateescape").splitlines()
    directives = [line for line in lines if line.startswith("#$")]
    own = [line for line in lines if not line.startswith(("#!", "#$"))]
    return "\n".join(own), directives


_MEMORY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)B?\s*\Z", re.I)


def memory_bytes(text):
    """Bytes in a text such as ``8G``; None if it says nothing of the kind.

    >>> memory_bytes("8G"), memory_bytes(512), memory_bytes("lots")
    (8589934592, 512, None)
    """
    found = _MEMORY.match(str(text))
    if not found or not float(found[1]):
        return None
    return int(float(found[1]) * 1024 ** " KMGT".index(found[2].upper() or " "))


_SCRIPT = """\
#!/bin/bash
{directives}
# Runs a plugin. By hand: cd into this directory, then  bash THIS_SCRIPT -j startplugin.json
if [ -z "${{{in_environment}:-}}" ]; then
    exec {python} -m ionanalysis.plugin.enter {tier} "$0" "$@"
fi
unset {in_environment}
VERSION={version}

failed() {{
    local code=$1
    echo "{rule}"
    echo "ERROR: the plugin ended with exit code $code."
    exit "$code"
}}

stopped() {{
    echo "ERROR: the plugin was stopped by signal $1."
    exit "$2"
}}

timed_out() {{
    echo "{timed_out}"
    exit 0
}}

echo "plugin: $PLUGINNAME"
echo "version: $VERSION"
echo "host: $HOSTNAME"
echo "job: ${{JOB_ID:-}} ${{JOB_NAME:-}}"
for place in RAW_DATA_DIR ANALYSIS_DIR RESULTS_DIR; do
    if [ ! -d "${{!place}}" ]; then echo "WARNING: $place does not exist: ${{!place}}"; fi
done
echo "version=$VERSION"
echo "start time=$(date)"
echo "$PLUGINNAME: starting execution of plugin code"

umask 0000
ulimit -c 0
echo "start time=$(date)"
set -o errexit
trap 'failed $?' ERR
trap 'stopped INT 130' INT
trap 'stopped TERM 143' TERM
trap timed_out USR1
SECONDS=0
echo "{rule}"
(
{payload}
)
echo "{rule}"
echo "end time=$(date)"
echo "pluginelapsedtime: "{name}",$SECONDS"
if [ -s output.json ]; then
    {python} -m ionanalysis.plugin.document -d . -s "$json_fname" -f output.json || true
fi
"""
