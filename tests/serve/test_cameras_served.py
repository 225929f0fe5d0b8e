"""Real streams from RTSP servers: one is killed and comes back, the others do not notice, and no password is seen."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import av
import pytest
from camera_rig.filming import film
from camera_rig.rtsp_server import RtspCamera
from serve.serving import Serving, serving, until

from movinet.serve.pools import Pools
from movinet.serve.settings import Clips

PASSWORD = "S3cr@t/Pw"


def source(server: Serving, name: str) -> dict[str, Any]:
    return dict(server.ask("GET", f"/api/sources/{name}").json)


@pytest.mark.slow
def test_events_are_recorded_and_their_clips_are_served(pools: Pools, tmp_path: Path) -> None:
    clips = Clips(str(tmp_path / "clips"), before=1.0, after=0.5)
    with (
        RtspCamera(film(seconds=2, fps=10, key_every=0.5)) as camera,
        serving(pools, tmp_path / "state", source_hosts=("127.0.0.1",), clips=clips) as server,
    ):
        entry = {"name": "hall", "address": camera.url(), "on": 0.34, "off": 0.01}
        assert server.ask("POST", "/api/sources", entry).status == 201
        assert server.ask("POST", "/api/sources", {**entry, "name": "not", "record": False}).status == 201
        until(lambda: source(server, "hall")["running"] and source(server, "not")["running"])
        camera.kill()  # what runs ends, and so does its clip
        (clip,) = until(lambda: server.ask("GET", "/api/clips").json["clips"])
        assert (clip["source"], clip["events"][0]["label"] in ("left", "right", "other")) == ("hall", True)
        got = server.ask("GET", f"/api/clips/{clip['path']}")
        assert got.status == 200
        (tmp_path / "got.mp4").write_bytes(got.body)
        with av.open(str(tmp_path / "got.mp4")) as film_again:
            assert sum(1 for _ in film_again.decode(video=0)) >= 3


@pytest.mark.slow
def test_four_cameras_of_which_one_dies_and_comes_back(
    pools: Pools, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    footage = film(seconds=2, fps=10, key_every=0.5)
    with ExitStack() as kept:
        cameras = [kept.enter_context(RtspCamera(footage, user="me", password=PASSWORD)) for _ in range(4)]
        server = kept.enter_context(serving(pools, tmp_path, source_hosts=("127.0.0.1",)))
        for n, camera in enumerate(cameras):
            entry = {
                "name": str(n),
                "address": camera.url(login=False),
                "user": "me",
                "password": PASSWORD,
                "timeout": 2,
            }
            assert server.ask("POST", "/api/sources", entry).status == 201
        for n in range(4):
            until(lambda n=n: source(server, str(n))["state"] == "running")
        cameras[0].kill()
        lost = until(lambda: (found := source(server, "0"))["state"] == "lost" and found)
        assert lost["why"]
        assert lost["top"] == []
        before = [source(server, str(n))["figures"]["frames"] for n in range(1, 4)]
        until(lambda: all(source(server, str(n + 1))["figures"]["frames"] > was + 5 for n, was in enumerate(before)))
        assert all(source(server, str(n))["figures"]["reconnects"] == 0 for n in range(1, 4))
        cameras[0].start()
        back = until(lambda: (found := source(server, "0"))["state"] == "running" and found)
        assert until(lambda: source(server, "0")["figures"]["reconnects"] == 1)
        shown = str(
            [back, lost, server.ask("GET", "/api/sources").json, server.ask("GET", "/metrics").body, caplog.text]
        )
        assert "S3cr" not in shown
        assert "t/Pw" not in shown
