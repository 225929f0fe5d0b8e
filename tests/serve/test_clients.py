"""The clients in docs/serve.md, as they stand there."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from serve.serving import Serving, encoded, picture

from movinet.live.webhook import sign

DOCUMENT = (Path(__file__).parents[2] / "docs" / "serve.md").read_text(encoding="utf-8")


def block(language: str, having: str) -> str:
    (found,) = [code for code in re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL) if having in code]
    return str(found)


def written_for(server: Serving, code: str) -> str:
    """For this server and the tests' pictures."""
    assert "127.0.0.1:8765" in code
    return code.replace("127.0.0.1:8765", f"127.0.0.1:{server.port}").replace("[80, 64]", "[32, 24]")


def test_the_python_client(server: Serving, tmp_path: Path) -> None:
    code = block("python", "connect(")
    assert len([line for line in code.splitlines() if line]) <= 12
    paths = []
    for n in range(3):
        paths.append(tmp_path / f"{n}.jpg")
        paths[-1].write_bytes(encoded(picture(n)))
    line = [sys.executable, "-c", written_for(server, code), *map(str, paths)]
    said = subprocess.run(line, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    assert said[0] == "['left', 'right', 'other']"
    assert sum(line.startswith("prediction ") for line in said) == 3


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")
def test_the_javascript_client(server: Serving) -> None:
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.lstrip("v").partition(".")[0]) < 22:
        pytest.skip("needs Node 22, which has WebSocket")
    jpeg = ",".join(map(str, np.frombuffer(encoded(picture()), np.uint8)))
    more = f"""
const jpeg = new Uint8Array([{jpeg}]);
const log = socket.onmessage;
socket.onmessage = (event) => {{
  log(event);
  const {{ type }} = JSON.parse(event.data);
  if (type === "opened") show(0, jpeg);
  if (type === "prediction") socket.close();
}};
"""
    line = ["node", "--input-type=module", "-e", written_for(server, block("js", "WebSocket")) + more]
    said = subprocess.run(line, capture_output=True, text=True, check=True, timeout=60).stdout
    assert '"type": "prediction"' in said


def test_signatures_are_checked_as_the_document_says() -> None:
    import time

    there: dict[str, object] = {}
    exec(block("python", "is_genuine"), there)
    genuine, now = there["is_genuine"], int(time.time())
    assert callable(genuine)
    assert genuine(b"body", sign(b"body", b"key", now), b"key")
    assert not genuine(b"body!", sign(b"body", b"key", now), b"key")
    assert not genuine(b"body", sign(b"body", b"other", now), b"key")
    assert not genuine(b"body", sign(b"body", b"key", now - 1000), b"key")
