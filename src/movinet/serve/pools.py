"""The networks that a server offers, each with a pool that its streams share."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from movinet.errors import MovinetError, brief
from movinet.events import detector_of, what_is_promised
from movinet.runtime.engine import live_memory
from movinet.runtime.exported import precision_of
from movinet.runtime.pool import StreamPool
from movinet.serve.picture_stream import thresholds_of
from movinet.serve.protocol import told_memory
from movinet.serve.settings import Settings


class Pools:
    """Pools by their names; the first is the default.

    Args:
        pools: at least one, by the names that clients use.
        max_streams: places of each.
    """

    def __init__(self, pools: Mapping[str, StreamPool], max_streams: int) -> None:
        self.by_name = dict(pools)
        self.max_streams = max_streams
        self.default = next(iter(pools))

    def of(self, name: str | None) -> StreamPool:
        """The pool of a model; of the default for None.

        Raises:
            MovinetError: there is no such model here.
        """
        found = self.by_name.get(self.default if name is None else name)
        if found is None:
            raise MovinetError(f"there is no model {brief(name)} here; there is {', '.join(self.by_name)}")
        return found

    def is_full(self, pool: StreamPool) -> bool:
        """Whether all places are taken."""
        return pool.statistics().streams >= self.max_streams

    @property
    def alive(self) -> bool:
        """Whether all take frames."""
        return all(pool.is_open for pool in self.by_name.values())

    def described(self) -> list[dict[str, Any]]:
        """For clients to choose among."""
        return [self._described(name, pool) for name, pool in self.by_name.items()]

    def _described(self, name: str, pool: StreamPool) -> dict[str, Any]:
        info, streams = pool.info, pool.statistics().streams
        memory, precision = live_memory(pool.engine, info), precision_of(pool.network, pool.engine)
        height, width = info.transform.size
        return {
            "name": name,
            "labels": list(info.labels) if info.labels is not None else None,
            "background": info.background,
            "size": [width, height],
            "fps": info.transform.fps,
            "memory": told_memory(memory),
            "thresholds": thresholds_of(detector_of(info)),
            "promise": what_is_promised(info, memory, precision),
            "engine": pool.engine.kind,
            "precision": precision,
            "license": info.license,
            "source": info.source,
            "streams": streams,
            "free": self.max_streams - streams,
        }


def state_bytes(pool: StreamPool) -> int:
    """What one stream's state takes."""
    return sum(int(np.prod(port.shape)) * np.dtype(port.dtype).itemsize for port in pool.engine.signature.state)


@contextmanager
def open_pools(settings: Settings) -> Iterator[Pools]:
    """Load what a server offers, and close it in the end.

    Raises:
        MovinetError: a model cannot be had, or two have one name.
    """
    with ExitStack() as kept:
        pools: dict[str, StreamPool] = {}
        for model in settings.models:
            pool = StreamPool.load(
                model,
                max_streams=settings.max_streams,
                batch=settings.batch,
                engine=settings.engine,
                precision="fast" if settings.fast else settings.precision,
                threads=settings.threads,
                labels=settings.labels,
                offline=settings.offline,
            )
            kept.enter_context(pool)
            if pool.info.name in pools:
                raise MovinetError(f"two of the models are called {pool.info.name}")
            pools[pool.info.name] = pool
        yield Pools(pools, settings.max_streams)
