"""Object stores, as they are on a bad day: loopback S3 by moto. Others than S3 are not tested."""

import json
import subprocess
from pathlib import Path

import pytest
from archive.flaky_store import flaky_store
from archive.videos import by_name, scan_command, small_video
from tiny import tiny_weights

from movinet.archive import stores
from movinet.archive.items import Item
from movinet.archive.stores import fetch, is_fetched, is_stored, list_store, patient
from movinet.errors import VideoError


@pytest.mark.slow
def test_a_store_that_is_busy_and_breaks_off_costs_nothing_but_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boto3 = pytest.importorskip("boto3")
    pytest.importorskip("moto")
    pytest.importorskip("s3fs")
    videos = {f"a b/{number}.mp4": small_video(tmp_path / f"{number}.mp4", 1.0 + number) for number in range(3)}
    model, out = tiny_weights(tmp_path), tmp_path / "results"
    with flaky_store(busy=4, cut=2) as (day, environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        client = boto3.client("s3", endpoint_url=environment["AWS_ENDPOINT_URL"])

        def put(name: str, data: bytes) -> None:
            client.put_object(Bucket="films", Key=name, Body=data)

        client.create_bucket(Bucket="films")
        for name, path in videos.items():
            put(name, path.read_bytes())
        put("a b/notes.txt", b"no video")
        put("a b/empty.mp4", b"")
        line = scan_command("s3://films/", "--out", out, "--model", model, "--processes", "1", "--json")
        done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 1, done.stdout + done.stderr
        rows = by_name(out)
        assert sorted(rows) == ["0.mp4", "1.mp4", "2.mp4", "empty.mp4"]
        assert [rows[f"{number}.mp4"]["frames"] for number in range(3)] == [5, 10, 15]
        assert rows["empty.mp4"]["error"].startswith("s3://films/a b/empty.mp4: ")
        assert all(row["etag"] for row in rows.values())
        assert day.refused > 0
        assert day.cuts > 0
        put("a b/1.mp4", videos["a b/0.mp4"].read_bytes())  # another with the same name
        again = subprocess.run(line, capture_output=True, text=True, check=False, timeout=300)
        told = [json.loads(line) for line in again.stdout.splitlines()]
        assert [line["path"] for line in told if line["type"] == "done"] == ["s3://films/a b/1.mp4"]
        client.close()
    assert by_name(out)["1.mp4"]["frames"] == 5
    assert not list((out / ".scratch").iterdir())


@pytest.mark.slow
def test_all_pages_of_a_prefix_are_listed_through_refusals_and_resets(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page has a thousand keys at most."""
    boto3 = pytest.importorskip("boto3")
    pytest.importorskip("moto")
    s3fs = pytest.importorskip("s3fs")
    names = [f"{number % 7}/{number:05}.mp4" for number in range(3200)]
    with flaky_store() as (day, environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        client = boto3.client("s3", endpoint_url=environment["AWS_ENDPOINT_URL"])
        client.create_bucket(Bucket="shows")
        for name in names:
            client.put_object(Bucket="shows", Key=name, Body=b"x")
        client.close()
        day.busy, day.reset, day.requests = 3, 4, 0
        s3fs.S3FileSystem.clear_instance_cache()
        found = list(list_store("s3://shows/"))
        s3fs.S3FileSystem.clear_instance_cache()
    assert [item.path for item in found] == sorted(f"s3://shows/{name}" for name in names)
    assert {item.size for item in found} == {1}
    assert day.pages > 4
    assert day.refused > 0
    assert day.resets > 0


def test_asking_again_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "_LONGEST_PAUSE", 0.0)
    asked: list[int] = []

    def busy() -> None:
        asked.append(1)
        raise OSError("busy")

    with pytest.raises(OSError, match="busy"):
        patient(busy)
    assert len(asked) == 5
    answers = iter([TimeoutError(), ConnectionResetError(), 3])

    def at_last() -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert patient(at_last) == 3
    asked.clear()

    def gone() -> None:
        asked.append(1)
        raise FileNotFoundError("gone")

    with pytest.raises(FileNotFoundError):
        patient(gone)
    assert len(asked) == 1


def test_a_disk_without_room_is_said_before_it_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "_file_system", lambda path: None)
    with pytest.raises(VideoError, match="MiB free"):
        fetch(Item("s3://films/large.mp4", 1 << 60, ""), tmp_path / "large.mp4", lambda: None)


def test_what_is_listed_and_what_is_brought_here() -> None:
    assert all(is_stored(one) for one in ("s3://b/x", "gs://b/", "https://h/x/"))
    assert not any(is_stored(one) for one in ("https://h/x.mp4", "/x", "rtsp://h/"))
    assert is_fetched("s3://b/x.mp4")
    assert not is_fetched("https://h/x.mp4")
