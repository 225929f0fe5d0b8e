"""Weights on the Hugging Face Hub: loaded by name wherever a name goes, and published with a card."""

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hub_server import TOKEN, Hub, hub
from tiny import LABELS, tiny_spec, tiny_weights

import movinet
from movinet.cli import main
from movinet.errors import WeightsError
from movinet.reading import parse_yaml
from movinet.runtime.open_network import open_network
from movinet.video.sample import sample_clip
from movinet.weights.hub import HubFile, hub_file, parse_hub_name, push
from movinet.weights.load import load_weights
from movinet.weights.model_card import model_card

constants = pytest.importorskip("huggingface_hub.constants")
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")  # the library's, of its client


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """With a repository of weights, and nothing in the cache."""
    with hub() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # a service of its own, beside the Hub
        monkeypatch.delenv("HF_TOKEN", raising=False)
        running.repos["me/tiny"] = {"model.safetensors": tiny_weights(tmp_path).read_bytes()}
        yield running


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("hf-hub:me/tiny", HubFile("me/tiny", None, "model.safetensors")),
        ("hf-hub:me/tiny@v1.0", HubFile("me/tiny", "v1.0", "model.safetensors")),
        ("hf-hub:me/tiny:sub/a0.tflite", HubFile("me/tiny", None, "sub/a0.tflite")),
        ("hf-hub:me/tiny@refs/pr/1:a.safetensors", HubFile("me/tiny", "refs/pr/1", "a.safetensors")),
    ],
)
def test_names(name: str, place: HubFile) -> None:
    assert parse_hub_name(name) == place


@pytest.mark.parametrize("name", ["hf-hub:", "hf-hub:tiny", "hf-hub:a/b/c", "hf-hub:a/b:../../etc", "hf-hub:a b/c"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(WeightsError, match="want hf-hub:owner/name"):
        load_weights(name)


def test_a_repository_is_loaded_wherever_a_name_goes(
    server: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name, seen = "hf-hub:me/tiny", []
    weights = load_weights(name, progress=lambda done, total: seen.append((done, total)))
    size = len(server.repos["me/tiny"]["model.safetensors"])
    assert seen[-1] == (size, size)
    assert weights.info.labels == LABELS
    assert movinet.load_model(name).info == weights.info
    assert movinet.create_model(name).spec == tiny_spec()
    assert movinet.create_model(name, pretrained=True, num_classes=2).num_classes == 2
    assert open_network(name).info == weights.info
    assert movinet.Recognizer.load(name, threads=1).info == weights.info
    assert [call.split()[0] for call in server.calls].count("GET") == 1  # the others ask whether it is the same still
    monkeypatch.chdir(tmp_path)
    for line in (
        ["classify", str(sample_clip()), "--model", name],
        ["profile", name, "--repeats", "1", "--engine", "torch"],
        ["convert", name, "mine.safetensors"],
    ):
        with pytest.raises(SystemExit) as done:
            main(line)
        assert (done.value.code, capsys.readouterr().err) == (0, ""), line


def test_what_is_cached_needs_no_network(server: Hub) -> None:
    first = load_weights("hf-hub:me/tiny")
    calls = len(server.calls)
    assert load_weights("hf-hub:me/tiny", offline=True).hash == first.hash
    assert len(server.calls) == calls
    with pytest.raises(WeightsError, match="me/other: offline, and not in the cache"):
        load_weights("hf-hub:me/other", offline=True)


def test_a_new_commit_is_seen_and_an_old_one_stays(server: Hub, tmp_path: Path) -> None:
    old = server.commit("me/tiny")
    hub_file(f"hf-hub:me/tiny@{old}")
    other = movinet.create_model("movinet_t0_stream.gestures", pretrained=True)
    movinet.save_model(other, tmp_path / "other.safetensors")
    server.repos["me/tiny"]["model.safetensors"] = (tmp_path / "other.safetensors").read_bytes()
    assert load_weights("hf-hub:me/tiny").spec == other.spec
    assert load_weights(f"hf-hub:me/tiny@{old}", offline=True).spec == tiny_spec()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("me/nothing", "no such repository, or it is not yours to see: `hf auth login`"),
        ("me/secret", "no such repository"),
        ("me/tiny@v9", "no such revision"),
        ("me/tiny:a0.tflite", "no such file; hf-hub:me/tiny:FILE names another"),
        ("me/tiny:README.md", "not a weights file we know"),
    ],
)
def test_what_cannot_be_had_says_why(server: Hub, name: str, reason: str) -> None:
    server.repos["me/secret"] = dict(server.repos["me/tiny"])
    server.private.add("me/secret")
    server.repos["me/tiny"]["README.md"] = b"# tiny"
    with pytest.raises(WeightsError, match=reason):
        load_weights(f"hf-hub:{name}")


def test_a_server_that_is_not_there_is_said(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(time, "sleep", lambda seconds: None)  # the library tries five times, later and later
    with pytest.raises(WeightsError, match=r"the Hub cannot be reached; .*HF_ENDPOINT"):
        load_weights("hf-hub:me/tiny")


def test_one_call_publishes_and_the_name_loads(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    model = movinet.create_model("movinet_t0_stream.gestures", pretrained=True, num_classes=2)
    address = movinet.push_model(model, "me/waves", labels=["no", "yes"], private=True)
    assert address == f"{server.url}/me/waves"
    assert server.private == {"me/waves"}
    loaded = load_weights("hf-hub:me/waves")
    assert (loaded.info.name, loaded.info.labels) == ("movinet_t0_stream.waves", ("no", "yes"))
    assert np.array_equal(loaded.arrays["stem.weight"], model.state_dict()["stem.weight"].numpy())
    card = server.repos["me/waves"]["README.md"].decode()
    assert "license: apache-2.0" in card
    assert "--model hf-hub:me/waves" in card
    server.repos["me/waves"]["README.md"] = b"mine"
    push(replace(loaded, info=replace(loaded.info, notes="again")), "me/waves", message="second")
    assert server.repos["me/waves"]["README.md"] == b"mine"
    assert load_weights("hf-hub:me/waves").info.notes == "again"


def test_the_command_publishes(
    server: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["push", "movinet_t0_stream.gestures", "me/gestures"]
    for token, code, told in [(None, 2, "hf auth login"), (TOKEN, 0, "hf-hub:me/gestures")]:
        if token:
            monkeypatch.setenv("HF_TOKEN", token)
        with pytest.raises(SystemExit) as done:
            main(line)
        assert done.value.code == code
        assert told in "".join(capsys.readouterr()).replace("\n", "")
    for repo in ("gestures", "me/x@y", "me/x:y"):
        with pytest.raises(WeightsError, match="want"):
            push(load_weights("hf-hub:me/gestures"), repo)


def test_a_card_says_what_is_known_and_nothing_else() -> None:
    info = load_weights("movinet_t0_stream.gestures").info
    card = model_card(info, "me/gestures")
    _, head, text = card.split("---\n", 2)
    entries = parse_yaml(head)
    assert (entries["license"], entries["pipeline_tag"]) == ("apache-2.0", "video-classification")
    for known in (
        "64×80 pixels, 5 frames a second",
        "1.64 M",
        "11 classes",
        *(f"{value:.2f} %" for value in info.accuracy.values()),
        "caret, circle\\_ccw",
        "float16",
    ):
        assert known in text
    nasty = replace(
        info,
        labels=("|<script>", *info.labels[1:]),
        source="a\n# b",
        license="unknown",
        notes="[x](y)",
        multi_label=True,
    )
    card = model_card(nasty, "me/nasty")
    assert "license" not in parse_yaml(card.split("---\n", 2)[1])
    assert "any number a clip" in card
    for raw in ("<script>", "\n# b", "[x](y)"):
        assert raw not in card


def test_without_the_library_it_is_said_what_brings_it() -> None:
    code = """
import sys
sys.modules["huggingface_hub"] = None
from movinet.cli import main
main(["classify", "x.mp4", "--model", "hf-hub:me/tiny"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'movinet[hub]'" in " ".join(done.stderr.split())
