"""A pool in a program that is interrupted, and in one that forks."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

SOON = 30.0  # seconds after which a test gives up


def test_ctrl_c_ends_a_program_that_waits_for_an_answer() -> None:
    code = """
        from engines import TestEngine, pictures
        from test_pool import pool_of

        engine = TestEngine()
        with pool_of(engine) as pool, pool.join() as stream:
            engine.gate.clear()
            answer = stream.submit(pictures(1)[0])
            engine.entered.acquire()
            print("waiting", flush=True)
            try:
                answer.result()
            finally:
                engine.gate.set()
    """
    folder = Path(__file__).parent
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": f"{folder}:{folder.parent}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=SOON)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in errors


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_is_told_that_the_pool_is_not_there() -> None:
    """Its thread is not, so whoever asked it would wait for ever."""
    code = """
        import os, signal, sys
        from engines import TestEngine, pictures
        from test_pool import pool_of
        from movinet import MovinetError

        with pool_of(TestEngine()) as pool, pool.join() as stream:
            stream.push(pictures(1)[0])
            pool._changed.acquire()  # as another thread may hold it
            if (child := os.fork()) == 0:
                signal.alarm(20)
                told = 0
                for act in (pool.join, stream.snapshot, lambda: stream.push(pictures(1)[0])):
                    try:
                        act()
                    except MovinetError as error:
                        told += "another process" in str(error)
                stream.leave()
                pool.close()
                os._exit(0 if told == 3 else 1)
            pool._changed.release()
            sys.exit(os.waitpid(child, 0)[1])
    """
    folders = (Path(__file__).parent, Path(__file__).parents[1], Path(__file__).parents[2] / "src")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))}
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(code)]
    assert subprocess.run(command, env=environment, timeout=60, check=False).returncode == 0
