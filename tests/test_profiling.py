"""What `profile` measures: of a network that streams, streaming."""

import pytest

from movinet import profiling
from movinet.arch.zoo import network_spec


@pytest.mark.parametrize(("name", "has_run_a_clip"), [("movinet_t0_stream", False), ("movinet_t0_base", True)])
def test_memory_is_that_of_what_a_network_is_for(
    monkeypatch: pytest.MonkeyPatch, name: str, has_run_a_clip: bool
) -> None:
    """A stream's memory is told before a whole clip has been run, which takes far more."""
    clips: list[object] = []
    create = profiling.create_clip_engine

    def noted(*args: object, **options: object) -> object:
        clips.append(args)
        return create(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(profiling, "create_clip_engine", noted)
    monkeypatch.setattr(profiling, "peak_memory", lambda: float(len(clips)))
    found = profiling.profile(network_spec(name), size=(32, 32), frames=2, repeats=1, engine="torch", threads=1)
    assert found.peak_memory_mb == float(has_run_a_clip)
    assert found.clip_ms is not None
