"""The container's and the service's files: what they run is there, and the steps of one work in a fresh environment.

No image is built here: there is no daemon. What `RUN` and `COPY` do is done in folders of the test's own.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import urllib.request
import venv
from collections.abc import Sequence
from pathlib import Path

import pytest

from movinet.cli import main
from movinet.serve.settings import read_settings

ROOT = Path(__file__).parents[1]
DOCKERFILE, SERVICE = ROOT / "packaging" / "Dockerfile", ROOT / "packaging" / "movinet.service"
NOBODY = 65534


def steps(kind: str) -> list[str]:
    """What stands behind an instruction, whole."""
    text = re.sub(r"\\\n\s*", "", DOCKERFILE.read_text(encoding="utf-8"))
    return [line.partition(" ")[2] for line in text.splitlines() if line.startswith(f"{kind} ")]


def words(instruction: str) -> list[str]:
    """Of one in exec form."""
    return [str(word) for word in json.loads(instruction)]


def test_it_is_not_root_who_serves_and_nothing_but_two_folders_is_written() -> None:
    assert steps("USER") == ["10001"]
    assert words(steps("VOLUME")[0]) == ["/var/lib/movinet", "/var/cache/movinet"]
    assert words(steps("ENTRYPOINT")[0])[:2] == ["movinet", "serve"]
    assert "--read-only" in DOCKERFILE.read_text()


def test_the_commands_that_are_started_take_those_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (command,) = re.findall(r"^ExecStart=\S+/movinet (.+)$", SERVICE.read_text(), re.MULTILINE)
    for line in (command, " ".join(words(steps("ENTRYPOINT")[0])[1:])):
        given = shlex.split(re.sub(r"%d|%S|/var/lib", str(tmp_path), line))
        with pytest.raises(SystemExit) as stop:
            main([*given, "--port", "99999"])  # which is refused after all options were understood
        assert stop.value.code == 2
        assert re.search(r"ports are 1 to 65535|serve.yaml: cannot read", capsys.readouterr().err)


def test_the_settings_that_come_along_are_settings(tmp_path: Path) -> None:
    text = (ROOT / "packaging" / "serve.yaml").read_text()
    assert read_settings(ROOT / "packaging" / "serve.yaml").port == 8765
    whole = re.sub(r"(?m)^# (?!movinet)", "", text)  # with all that is commented out
    (tmp_path / "serve.yaml").write_text(whole)
    settings = read_settings(tmp_path / "serve.yaml")
    assert settings.secure
    assert settings.mqtt is not None
    assert len(settings.webhooks) == 1


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can be somebody else")
def test_the_steps_make_a_server_that_another_user_runs(tmp_path: Path) -> None:
    """`RUN` of the first stage in a copy of the repository; then the entry point, as nobody, who writes two folders."""
    source, home = tmp_path / "source", tmp_path / "movinet"
    shutil.copytree(
        ROOT, source, ignore=shutil.ignore_patterns(".*", "build", "*.egg-info", "__pycache__", "node_modules")
    )
    for step in steps("RUN")[:3]:
        line = shlex.split(step.replace("/opt/movinet", str(home)))
        if line[:3] == ["python", "-m", "venv"]:
            venv.create(home, with_pip=True)
        else:
            subprocess.run(line, cwd=source, check=True, env={**os.environ, "PYTHONPATH": ""}, timeout=900)
    folders = [tmp_path / "state", tmp_path / "cache"]
    for folder in folders:
        folder.mkdir(mode=0o700)
        os.chown(folder, NOBODY, NOBODY)
    for parent in [tmp_path, *tmp_path.parents]:
        if parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o055)
    command = [str(home / "bin" / word) if word == "movinet" else word for word in words(steps("ENTRYPOINT")[0])]
    command[command.index("--state") + 1] = str(folders[0])
    environment = {"PATH": str(home / "bin"), "MOVINET_CACHE": str(folders[1]), "PYTHONDONTWRITEBYTECODE": "1"}
    before = written(tmp_path, folders)
    with subprocess.Popen(
        [*command, "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
    ) as process:
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            said += line
            if found := re.search(r"http://0\.0\.0\.0:(\d+)/", line):
                break
        else:
            pytest.fail(said)
        with urllib.request.urlopen(f"http://127.0.0.1:{found[1]}/healthz", timeout=20) as answer:
            assert answer.status == 200
        with urllib.request.urlopen(f"http://127.0.0.1:{found[1]}/", timeout=20) as answer:
            assert b"<html" in answer.read()
        process.terminate()
        process.stderr.read()
        assert process.wait(30) in (143, -15)
    assert written(tmp_path, folders) == before, "nothing is written elsewhere"
    assert (folders[0] / "tokens.json").stat().st_uid == NOBODY
    where = [str(home / "bin" / "python"), "-c", "import importlib.util as u; print(u.find_spec('torch'))"]
    assert subprocess.run(where, capture_output=True, text=True, check=True, env={}).stdout.strip() == "None"


def written(folder: Path, but: Sequence[Path]) -> set[tuple[str, float]]:
    """Files below a folder, and when they changed."""
    found = set()
    for path in folder.rglob("*"):
        if not any(path.is_relative_to(other) for other in but):
            found.add((str(path), path.stat(follow_symlinks=False).st_mtime))
    return found
