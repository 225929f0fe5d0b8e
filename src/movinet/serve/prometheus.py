"""How the server goes, as Prometheus reads it (text format 0.0.4). No name of a source's address, no secret."""

from collections.abc import Iterator, Mapping, Sequence

from movinet.serve.pools import state_bytes
from movinet.serve.services import Services

_STATES = ("opening", "running", "lost", "lagging", "ended", "given up")

Sample = tuple[Mapping[str, str], float]


def exposition(services: Services) -> str:
    """All figures at this instant."""
    return "".join(_lines(services))


def _lines(services: Services) -> Iterator[str]:
    tally, wall = services.tally, services.wall.described()
    pools = [(name, pool, pool.statistics()) for name, pool in services.pools.by_name.items()]
    left_out = services.told.dropped()
    yield from _metric("info", "gauge", "What runs.", [({"version": services.version}, 1)])
    yield from _metric("sockets", "gauge", "WebSocket streams that are open.", [({}, tally.sockets)])
    yield from _metric("listeners", "gauge", "Readers of /api/events.", [({}, len(services.hub.listeners))])
    states = [({"state": s}, sum(one["state"] == s for one in wall)) for s in _STATES]
    yield from _metric("sources", "gauge", "Server-side sources by state.", states)

    yield from _metric("pictures_total", "counter", "Pictures that came over WebSockets.", [({}, tally.pictures)])
    answers = {"prediction": tally.predictions, "skipped": tally.skipped, "dropped": tally.dropped}
    answers["refused"] = tally.refused
    samples = [({"answer": answer}, count) for answer, count in answers.items()]
    yield from _metric("answers_total", "counter", "Answers to pictures, by what they said.", samples)
    yield from _metric("decode_seconds_sum", "counter", "Time that decoding took.", [({}, tally.decode_seconds)])
    yield from _metric("decode_seconds_count", "counter", "Pictures that were decoded.", [({}, tally.decoded)])
    yield from _metric(
        "answer_seconds_sum", "counter", "Time from a picture's turn to its prediction.", [({}, tally.answer_seconds)]
    )
    yield from _metric("answer_seconds_count", "counter", "Predictions so far.", [({}, tally.predictions)])
    begun = [({"of": "sockets"}, tally.events), ({"of": "sources"}, services.wall.begun)]
    yield from _metric("events_total", "counter", "Events that have begun.", begun)
    yield from _metric(
        "told_dropped_total", "counter", "Messages to webhooks and MQTT that were left out.", [({}, left_out)]
    )
    closed = [({"why": why}, count) for why, count in sorted(tally.closed.items())]
    yield from _metric("sockets_closed_total", "counter", "WebSocket streams that ended, by why.", closed)
    denied = [({"status": str(status)}, count) for status, count in sorted(tally.denied.items())]
    yield from _metric("denied_total", "counter", "Requests that the door refused, by status.", denied)

    for key, what in (
        ("frames", "Frames of a source that the network saw."),
        ("late", "Pictures left out because a source lagged."),
        ("damaged", "Packets and pictures of a source that arrived broken."),
        ("still", "Frames that the network was not shown, since nothing moved."),
        ("dropped", "Frames that were due and that the network was too slow for."),
        ("reconnects", "Times that a source was lost and found again."),
    ):
        rows = [({"source": one["name"]}, one["figures"][key]) for one in wall if one["figures"]]
        yield from _metric(f"source_{key}_total", "counter", what, rows)
    lags = [({"source": one["name"]}, one["figures"]["lag"]) for one in wall if one["figures"]]
    yield from _metric("source_lag_seconds", "gauge", "By which a source's newest picture came late.", lags)

    def of_pools(figure: str, kind: str, what: str, values: list[float]) -> Iterator[str]:
        rows = [({"model": name}, value) for (name, _, _), value in zip(pools, values, strict=True)]
        yield from _metric(figure, kind, what, rows)

    figures = [figures for _, _, figures in pools]
    yield from of_pools("pool_streams", "gauge", "Streams in a pool.", [f.streams for f in figures])
    yield from of_pools("pool_waiting", "gauge", "Frames that wait for a step.", [f.waiting for f in figures])
    yield from of_pools("pool_frames_total", "counter", "Frames that were stepped.", [f.frames for f in figures])
    yield from of_pools("pool_dropped_total", "counter", "Frames pushed out of queues.", [f.dropped for f in figures])
    yield from of_pools("pool_errors_total", "counter", "Steps that failed.", [f.errors for f in figures])
    yield from of_pools(
        "pool_fill_ratio", "gauge", "Share of a step's rows that held a frame.", [f.fill for f in figures]
    )
    quantiles = [
        ({"model": name, "quantile": quantile}, value / 1e3)
        for name, _, figures in pools
        for quantile, value in zip(("0.5", "0.95", "0.99"), figures.latency_ms, strict=True)
    ]
    yield from _metric(
        "pool_latency_seconds",
        "gauge",
        "From a frame's arrival at the pool to the end of its step, of late.",
        quantiles,
    )
    sizes = [state_bytes(pool) * figures.streams for _, pool, figures in pools]
    yield from of_pools("pool_state_bytes", "gauge", "Memory of streams' states.", [float(size) for size in sizes])


def _metric(name: str, kind: str, what: str, samples: Sequence[Sample]) -> Iterator[str]:
    yield f"# HELP movinet_{name} {what}\n# TYPE movinet_{name} {kind}\n"
    for labels, value in samples:
        said = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        yield f"movinet_{name}{{{said}}} {value:.10g}\n" if said else f"movinet_{name} {value:.10g}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
