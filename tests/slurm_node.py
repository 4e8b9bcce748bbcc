"""A real Slurm of one node in a folder of its own: munged, slurmctld and slurmd from Debian's packages."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

_PATIENCE_S = 60
_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scancel", "sinfo", "squeue")
_CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmctldPort={controller_port}
SlurmdPort={node_port}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0,sched_interval=1
# The node may have more places than the machine has cores: jobs of tests mostly wait.
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={n_cpus} RealMemory={mebibytes} State=UNKNOWN
PartitionName=tests Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@contextmanager
def slurm_node(folder, *, n_cpus=4, mebibytes=64_000):
    """Start Slurm in an empty folder; its commands find it by ``SLURM_CONF``, which is set meanwhile.

    The test is skipped where the programs are not installed, or they do not run on this machine.
    """
    environment_path = os.environ["PATH"]
    search = f"{environment_path}:/usr/sbin:/sbin"
    missing = [name for name in _PROGRAMS if shutil.which(name, path=search) is None]
    if missing:
        pytest.skip(f"no Slurm here ({', '.join(missing)} not found); `make test-slurm` as root installs it on Debian")
    configuration = _configure(folder, n_cpus, mebibytes)
    former = {name: os.environ.get(name) for name in ("PATH", "SLURM_CONF")}
    os.environ |= {"PATH": search, "SLURM_CONF": str(configuration)}
    started = []
    try:
        for command in (_munged(folder), ["slurmctld", "-D"], ["slurmd", "-D", "-N", _host()]):
            started.append(_start(command, folder))
        _wait_until_idle(started, folder)
        yield folder
    finally:
        _end_jobs()
        for process in reversed(started):
            process.terminate()
        for process in reversed(started):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        for name, value in former.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def job_numbers(state="running,pending,configuring"):
    """Numbers of the jobs that Slurm has in some of these states."""
    command = ["squeue", "--noheader", "--format=%i", f"--states={state}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def _end_jobs():
    """Cancel all jobs and wait until they have ended: what watches over them outlives the node."""
    end = time.monotonic() + _PATIENCE_S
    with suppress(subprocess.CalledProcessError):
        while (numbers := job_numbers("running,pending,configuring,completing")) and time.monotonic() < end:
            subprocess.run(["scancel", *numbers], check=False)
            time.sleep(0.3)


def _configure(folder, n_cpus, mebibytes):
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.touch(0o400)
    key.chmod(0o600)
    key.write_bytes(secrets.token_bytes(1024))
    # munged refuses to work where others might replace its socket.
    folder.chmod(0o755)
    path = folder / "slurm.conf"
    controller_port, node_port = _free_ports(2)
    user = subprocess.run(["id", "-un"], check=True, capture_output=True, text=True).stdout.strip()
    path.write_text(
        _CONFIGURATION.format(
            host=_host(), user=user, folder=folder, n_cpus=n_cpus, mebibytes=mebibytes,
            controller_port=controller_port, node_port=node_port,
        )
    )  # fmt: skip
    return path


def _munged(folder):
    return [
        "munged", "--foreground", "--force", f"--key-file={folder}/munge.key", f"--socket={folder}/munge.socket",
        f"--pid-file={folder}/munged.pid", f"--log-file={folder}/munged.log", f"--seed-file={folder}/munged.seed",
    ]  # fmt: skip


def _start(command, folder):
    with Path(folder, f"{command[0]}.out").open("wb") as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )


def _wait_until_idle(started, folder):
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end:
        if any(process.poll() is not None for process in started):
            break
        told = subprocess.run(["sinfo", "--noheader", "--format=%T"], capture_output=True, text=True, check=False)
        if told.stdout.strip() == "idle":
            return
        time.sleep(0.2)
    logs = [path.read_text(errors="replace")[-300:] for path in sorted(Path(folder).glob("*.log"))]
    pytest.skip(f"Slurm does not run on this machine: {' | '.join(logs)}")


def _host():
    return socket.gethostname().partition(".")[0]


def _free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
