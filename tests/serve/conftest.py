"""The pool that all servers of these tests share, and a server for those that change nothing of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny import tiny_weights

pytest.importorskip("starlette", reason="needs movinet[serve]")

from serve.serving import Serving, serving

from movinet.serve.pools import Pools, open_pools
from movinet.serve.settings import Settings


@pytest.fixture(scope="session")
def pools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pools]:
    """One tiny network with eight places."""
    weights = tiny_weights(tmp_path_factory.mktemp("weights"))
    with open_pools(Settings(models=(str(weights),), max_streams=8)) as pools:
        yield pools


@pytest.fixture(scope="module")
def server(pools: Pools, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Without tokens, for tests that leave it as it was."""
    with serving(pools, tmp_path_factory.mktemp("state")) as running:
        yield running


@pytest.fixture
def locked(pools: Pools, tmp_path: Path) -> Iterator[Serving]:
    """With tokens."""
    with serving(pools, tmp_path / "state", tokens=True) as running:
        yield running
