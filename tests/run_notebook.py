"""Run a notebook in a kernel of this very interpreter and print it with its outputs, as JSON.

usage: run_notebook.py NOTEBOOK WORKING_DIRECTORY

A program of its own: Jupyter's sockets and event loops warn when they are collected, which our tests take for errors.
"""

import sys

import nbclient
import nbformat
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager


class ThisPython(KernelSpecManager):
    """The kernel is the interpreter that runs the tests, whatever kernels are registered on the machine."""

    def get_kernel_spec(self, name):
        spec = super().get_kernel_spec(name)
        spec.argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return spec


def main(path, folder):
    notebook = nbformat.read(path, as_version=4)
    manager = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=ThisPython())
    resources = {"metadata": {"path": folder}}
    nbclient.NotebookClient(notebook, km=manager, timeout=120, resources=resources).execute()
    print(nbformat.writes(notebook))


if __name__ == "__main__":
    main(*sys.argv[1:])
