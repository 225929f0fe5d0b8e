"""Commands as people type them, each in a process of its own in which everything large is imported already.

Importing PyTorch and what trains with it takes longer than most of the commands do.
"""

import multiprocessing
import os
import shlex
import sys
from glob import glob
from pathlib import Path

_LARGE = ["lightning_fabric", "matplotlib.pyplot", "movinet.cli.data", "movinet.cli.training", "movinet.cli.watch"]


def run_typed(line: str, folder: Path, said: Path) -> int:
    """What a line comes to in a folder: its exit code, and all it prints in the file `said`."""
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(_LARGE)
    process = processes.Process(target=_run, args=(line, folder, said))
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def _run(line: str, folder: Path, said: Path) -> None:
    from movinet.__main__ import run

    multiprocessing.set_start_method(None, force=True)  # the command's own processes begin as they always do
    os.chdir(folder)
    with said.open("w") as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())
    # As a shell would: no remarks, and stars for the files there are.
    sys.argv = [found for word in shlex.split(line, comments=True) for found in sorted(glob(word)) or [word]]
    run()
