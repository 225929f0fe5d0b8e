"""movinet compare: published figures have sources, counts are ours, and measuring goes on where it stopped."""

import json
from pathlib import Path

import pytest

from movinet.arch.serialize import find_spec
from movinet.baselines.comparison import comparable, measure_costs, read_costs, read_trained
from movinet.baselines.published_figures import PUBLISHED
from movinet.cli.app import app
from movinet.cli.compare_plots import part_names
from movinet.costs import macs_per_clip, parameters
from movinet.errors import MovinetError
from movinet.train.plots import new_figure
from movinet.weights.registry import find


def test_every_figure_has_its_source() -> None:
    assert all(row.source for row in PUBLISHED)
    assert len({(row.network, row.data) for row in PUBLISHED}) == len(PUBLISHED)
    for row in PUBLISHED:  # what the registry says of the same weights
        if row.data == "Kinetics-600" and row.network in comparable():
            assert find(f"{row.network}.k600").top1 == row.top1


def test_it_prints_what_it_knows(capsys: pytest.CaptureFixture[str]) -> None:
    assert app(["compare", "x3d_m", "movinet_a2_base", "--data", "Kinetics-400", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["network"] for row in told["published"]] == ["movinet_a2_base", "x3d_m"]
    a2, x3d = told["published"]
    assert x3d["video_gmacs"] == pytest.approx(30 * 4.73)
    assert a2["video_gmacs"] == macs_per_clip(find_spec("movinet_a2_base")) / 1e9
    spec = find_spec("movinet_a2_base").with_options(num_classes=400)
    assert a2["million_parameters"] == parameters(spec) / 1e6
    assert {cost["network"] for cost in told["costs"]} == {"x3d_m", "movinet_a2_base"}
    assert all(cost["clip_ms"] is None for cost in told["costs"])
    assert app(["compare", "MobileNetV3-L"]) == 0
    shown = capsys.readouterr().out
    assert "71.4" in shown
    assert "grw-smoothing README" in shown


def test_measuring_goes_on_where_it_stopped_and_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = []

    def measure(network: str, threads: int) -> dict[str, float | None]:
        asked.append(network)
        if len(asked) == 2:
            raise KeyboardInterrupt
        streams = network.endswith("stream")
        step, clip = (2.0, None) if streams else (None, 70.0)
        return {"step_ms": step, "clip_ms": clip, "peak_memory_mb": 300.0, "idle_mb": 200.0}

    networks = ["movinet_a0_stream", "x3d_xs", "movinet_a5_base"]
    with pytest.raises(KeyboardInterrupt):
        measure_costs(networks, tmp_path, most_gmacs=60, measure=measure)
    stream, clip, heavy = measure_costs(networks, tmp_path, most_gmacs=60, measure=measure)
    assert asked == ["movinet_a0_stream", "x3d_xs", "x3d_xs"]
    assert (stream.clip_ms, stream.memory_mb) == (2.0 * 50, 100.0)
    assert clip.clip_ms == 70.0
    assert heavy.clip_ms is None
    assert set(read_costs(tmp_path / "costs.json")) == {"movinet_a0_stream", "x3d_xs"}
    row = {"network": "x3d_xs", "top1": [0.5, 0.6], "clips": 2002, "parameters": 10, "gmacs": 0.5}
    (tmp_path / "trained.json").write_text(json.dumps({"trained": [row]}))
    line = ["compare", "a0_stream", "x3d_xs", "--out", str(tmp_path), "--trained", str(tmp_path / "trained.json")]
    assert app(line) == 0
    shown = capsys.readouterr().out
    assert "55.0" in shown
    assert "2002 test clips" in shown
    assert {path.name for path in tmp_path.glob("*.png")} == {"published.png", "costs.png", "trained.png"}


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    for line, said in (
        (["compare", "x4d"], "no network is called"),
        (["compare", str(tmp_path)], "your own is counted and timed by movinet profile"),
        (["compare", "--data", "Kinetics-700"], "nothing published"),
        (["compare", "--measure"], "--out"),
        (["compare", "--trained", str(tmp_path / "none.json")], "cannot be read"),
        (["compare", "--threads", "0"], "--threads"),
    ):
        with pytest.raises(MovinetError, match=said):
            app(line)
    (tmp_path / "costs.json").write_text('{"costs": [{"network": 3}]}')
    with pytest.raises(MovinetError, match="no table of costs"):
        app(["compare", "--out", str(tmp_path)])
    (tmp_path / "trained.json").write_text("[]")
    with pytest.raises(MovinetError, match="no table of trainings"):
        read_trained(tmp_path / "trained.json")


@pytest.mark.slow
def test_a_network_is_run_in_processes_of_its_own(tmp_path: Path) -> None:
    (cost,) = measure_costs(["movinet_t0_stream"], tmp_path, most_gmacs=1)
    assert cost.clip_ms is not None
    assert cost.clip_ms > 0
    assert cost.memory_mb is not None
    assert 10 < cost.memory_mb < 1000


def test_names_in_pictures_do_not_lie_on_one_another() -> None:
    figure = new_figure(4, 3)
    axes = figure.subplots()
    axes.plot([1, 1, 1.01], [1, 1.01, 1.02], "o")
    names = [
        axes.annotate(f"network {n}", (1, 1 + n / 100), (3, 4), textcoords="offset points", fontsize=6.5)
        for n in range(3)
    ]
    part_names(figure)
    boxes = [name.get_window_extent() for name in names]
    assert not any(one.overlaps(other) for n, one in enumerate(boxes) for other in boxes[:n])
