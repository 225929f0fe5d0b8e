import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import torch
from nn.networks import in_numpy
from test_tf_bundle import write_checkpoint

from movinet.arch.spec import EnsembleSpec, NetworkSpec
from movinet.arch.zoo import network_spec
from movinet.errors import SpecError, WeightsError
from movinet.nn.convert import arrays_of, model_of
from movinet.nn.ensemble import build
from movinet.recognizer import Recognizer
from movinet.weights import download, load, registry
from movinet.weights.download import cache_path
from movinet.weights.info import WeightsInfo, default_transform
from movinet.weights.load import load_weights, read_labels
from movinet.weights.safetensors_file import save_weights
from movinet.weights.tensorflow import from_tensorflow, tensorflow_variables

NAME = "movinet_a0_stream.k600"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MOVINET_MIRROR", raising=False)
    monkeypatch.setenv("MOVINET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A weights file of ours, for three classes."""
    spec = network_spec("movinet_a0_stream").with_options(num_classes=3, hidden=8)
    path = tmp_path / "small.safetensors"
    save_weights(path, arrays_of(build(spec)), WeightsInfo("small.test", spec, default_transform(spec)))
    return path


class Published:
    """A server on this machine with what is published at the addresses of the registry."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.requests: list[str] = []
        handler = partial(_Handler, directory=str(folder))
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.published = self  # type: ignore[attr-defined]

    def place(self, address: str | None) -> Path:
        assert address
        path = self.folder / urlsplit(address).path[1:]
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.server.published.requests.append(self.path)  # type: ignore[attr-defined]
        super().do_GET()


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Published]:
    published = Published(tmp_path / "published")
    thread = threading.Thread(target=published.server.serve_forever)
    thread.start()
    monkeypatch.setenv("MOVINET_MIRROR", f"http://127.0.0.1:{published.server.server_address[1]}")
    yield published
    published.server.shutdown()
    thread.join()
    published.server.server_close()


def test_published_weights_by_name(published: Published, tmp_path: Path) -> None:
    """From the archive as it is published to a network, its labels and all that is known of it; then offline."""
    entry, spec = registry.find(NAME), network_spec("movinet_a0_stream")
    assert isinstance(spec, NetworkSpec)
    variables = tensorflow_variables(spec, "2plus1d").values()
    checkpoint = {v.key: np.full(v.shape, n / 1024, np.float32) for n, v in enumerate(variables)}
    folder = tmp_path / "movinet_a0_stream"
    folder.mkdir()
    write_checkpoint(folder / "ckpt-1", checkpoint, per_block=16, restart_every=4)
    with tarfile.open(published.place(entry.address), "w:gz", compresslevel=1) as archive:
        archive.add(folder, folder.name)
    labels = [f"label {n}" for n in range(600)]
    published.place(entry.labels_address).write_text("\n".join(labels))

    progress: list[tuple[int, int | None]] = []
    loaded = load_weights(NAME, progress=lambda *counts: progress.append(counts))
    assert progress[-1][0] == progress[-1][1] == published.place(entry.address).stat().st_size
    assert loaded.info.name == NAME
    assert loaded.info.spec == spec.with_options(gate="hard_sigmoid_keras")
    assert loaded.info.labels == tuple(labels)
    assert loaded.info.accuracy == {"top-1": 72.05, "top-5": 90.63}
    assert loaded.info.license == "Apache-2.0"
    assert loaded.info.transform == default_transform(spec)
    assert not loaded.to_model().training
    state = loaded.to_model().state_dict()
    for name, value in from_tensorflow(checkpoint, spec, "2plus1d").items():
        assert np.array_equal(state[name].numpy(), value), name

    requests = len(published.requests)
    again = load_weights("movinet_a0_stream", offline=True, options={"gate": "hard_sigmoid_garden"})
    assert len(published.requests) == requests
    assert again.info.spec == spec.with_options(gate="hard_sigmoid_garden")


def test_published_tflite_files_tell_themselves(published: Published, shared: Path) -> None:
    entry = registry.find("movinet_a0_stream.k600lite")
    golden = (shared / "golden" / "a0_stream_float16.tflite").read_bytes()
    published.place(entry.address).write_bytes(golden)
    published.place(entry.labels_address).write_text("\n".join(f"label {n}" for n in range(600)))
    loaded = load_weights(entry.name)
    assert isinstance(loaded.info.spec, NetworkSpec)
    assert (loaded.info.spec.norm, loaded.info.spec.gate) == ("folded", "hard_sigmoid_garden")
    assert loaded.info.label(599) == "label 599"
    assert "never verified" in loaded.info.notes
    other = registry.find("movinet_a1_stream.k600lite")
    published.place(other.address).write_bytes(golden)
    with pytest.raises(WeightsError, match="another network than its name says"):
        load_weights(other.name)


def test_the_specification_asked_for_holds_or_is_refused(small: Path) -> None:
    asked = load_weights(small).spec.with_options(name="mine", activation="relu")
    assert load_weights(small, spec=asked).spec == asked
    with pytest.raises(WeightsError, match="do not fit"):
        load_weights(small, spec=asked.with_options(num_classes=4))
    bundled = load_weights("movinet_t0_stream.gestures").spec
    assert load_weights("movinet_t0_stream.gestures", spec=bundled).spec == bundled
    with pytest.raises(WeightsError, match="the name says which network it is"):
        load_weights("movinet_t0_stream.gestures", spec=asked)


def test_offline_and_nothing_cached() -> None:
    with pytest.raises(WeightsError, match="offline") as error:
        load_weights(NAME, offline=True)
    address = registry.find(NAME).address
    assert address
    assert address in str(error.value)
    assert str(cache_path(address)) in str(error.value)


def test_ensembles_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """A6 is its members with their own options; tiny ones stand in for A4 and A5."""
    small = network_spec("movinet_a0_stream")
    tiny = {f"movinet_{n}_stream": small.with_options(name=f"movinet_{n}_stream", hidden=8) for n in ("a4", "a5")}
    weights = {name: arrays_of(build(spec)) for name, spec in tiny.items()}

    def read_any(path: Path, spec: NetworkSpec) -> tuple[Any, WeightsInfo]:
        return weights[spec.name], WeightsInfo("any", spec, default_transform(spec))

    monkeypatch.setattr(load, "network_spec", lambda name: tiny.get(name) or network_spec(name))
    monkeypatch.setattr(load, "read_any", read_any)
    monkeypatch.setattr(download, "fetch", lambda address, **_: Path(address))
    monkeypatch.setattr(load, "read_labels", lambda path: tuple(f"label {n}" for n in range(600)))
    loaded = load_weights("movinet_a6_stream", options={"decay": 0.5})
    spec = loaded.info.spec
    assert isinstance(spec, EnsembleSpec)
    assert [m.network.name for m in spec.members] == list(tiny)
    assert {(m.network.decay, m.network.gate) for m in spec.members} == {(0.5, "hard_sigmoid_keras")}
    assert loaded.info.label(599) == "label 599"
    state = loaded.to_model().state_dict()
    for i, name in enumerate(weights):
        assert all(np.array_equal(state[f"members.{i}.{key}"], value) for key, value in weights[name].items())


def test_options_and_labels(small: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("one\ntwo\n\nthree \n", encoding="utf-8-sig")  # as Windows writes it
    loaded = load_weights(small, labels=labels, options={"decay": 0.9})
    assert loaded.info.labels == ("one", "two", "three")
    assert Recognizer.load(small, labels=["a, b", "two", "three"], cache=False).labels == ("a, b", "two", "three")
    assert loaded.to_model().spec == loaded.info.spec
    assert isinstance(loaded.info.spec, NetworkSpec)
    assert loaded.info.spec.decay == 0.9
    with pytest.raises(SpecError, match="decay"):
        load_weights(small, options={"decay": 2.0})
    with pytest.raises(SpecError, match="no option 'decai'"):
        load_weights(small, options={"decai": 0.9})
    with pytest.raises(SpecError, match="no option 'decai'"):
        load_weights(NAME, options={"decai": 0.9}, offline=True)


def test_labels_that_do_not_fit(small: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("one\ntwo\n")
    with pytest.raises(WeightsError, match="2 labels for 3 classes"):
        load_weights(small, labels=labels)
    with pytest.raises(WeightsError, match="2 labels for 3 classes"):
        load_weights(small, labels=["one", "two"])
    labels.write_text("\n")
    with pytest.raises(WeightsError, match="no labels"):
        read_labels(labels)
    labels.write_bytes(b"\xff\xfe")
    with pytest.raises(WeightsError, match=r"labels\.txt"):
        read_labels(labels)
    with pytest.raises(WeightsError, match="missing"):
        read_labels(tmp_path / "missing.txt")


def test_a_name_is_a_name_and_a_path_a_path(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    small.rename("movinet_a0_stream")
    assert load_weights("./movinet_a0_stream").info.name == "small.test"
    assert load_weights(Path("movinet_a0_stream")).info.name == "small.test"
    with pytest.raises(WeightsError, match="offline"):
        load_weights("movinet_a0_stream", offline=True)


def test_what_is_neither_file_nor_name(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"clips/foo\.safetensors: no such file"):
        load_weights("clips/foo.safetensors")
    with pytest.raises(WeightsError, match=r"movinet_a2_steam: no such file.*did you mean movinet_a2_stream"):
        load_weights("movinet_a2_steam")
    with pytest.raises(WeightsError, match=r"a0: no such file; did you mean movinet_a0_base or movinet_a0_stream"):
        load_weights("a0")
    with pytest.raises(WeightsError, match="`movinet models`"):
        load_weights("resnet")


@pytest.mark.parametrize("name", ["clip.mp4", "weights.pth", "weights", "ckpt.index", "weights.tflite", "w.tar.gz"])
@pytest.mark.parametrize(
    "content", [b"", b"\x1f\x8b\x08", b"PK\x03\x04", b"\x80\x02}", bytes(4) + b"TFL3", b"RIFF" * 9]
)
def test_files_that_are_nothing_we_know(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError) as error:
        load_weights(tmp_path / name)
    assert name.removesuffix(".index") in str(error.value)


def test_folders_without_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"one checkpoint.*found: none"):
        load_weights(tmp_path)


def test_ensembles_only_from_our_files(tmp_path: Path) -> None:
    (tmp_path / "x.tar.gz").write_bytes(b"\x1f\x8b\x08")
    with pytest.raises(WeightsError, match="ensembles"):
        load_weights(tmp_path / "x.tar.gz", spec=network_spec("movinet_a6_base"))


def test_built_networks_hold_the_given_tensors() -> None:
    spec = network_spec("movinet_a0_base").with_options(hidden=8, num_classes=2)
    assert isinstance(spec, NetworkSpec)
    state = build(spec).state_dict()
    model = model_of(spec, in_numpy({k: v for k, v in state.items() if "tracked" not in k}))
    assert not model.training
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(p.requires_grad and p.device.type == "cpu" for p in model.parameters())
    model.train()(torch.rand(2, 3, 2, 32, 32)).sum().backward()  # statistics and counts are there too


def test_loading_imports_no_compiler(small: Path) -> None:
    """Parts of PyTorch that take a second to import are not needed, and a careless operation would bring them."""
    program = f"""
import sys
from movinet.weights.load import load_weights
load_weights({str(small)!r})
assert "sympy" not in sys.modules
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
