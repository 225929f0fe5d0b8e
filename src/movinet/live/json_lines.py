"""What watching tells as JSON, an object a report: for programs, for commands that are run, for whoever is posted to.

docs/watching.md has the fields as tables.
"""

from datetime import UTC, datetime
from typing import Any

from movinet.events import Event
from movinet.live.report import Begun, Changed, Ended, Figures, Over, Report, Seen


def as_json(report: Report, topk: int = 5) -> dict[str, Any]:
    """A report in plain types.

    Args:
        report: of any kind.
        topk: labels of a prediction that are told, the likeliest.
    """
    return {
        "type": type_of(report),
        "source": report.source,
        "wall": iso(report.wall),
        "time": _seconds(report.time),
        **_particulars(report, topk),
        "figures": _figures(report.figures),
    }


def type_of(report: Report) -> str:
    """prediction, begun, ended, lost, found, lagging, caught_up or over."""
    match report.what:
        case Seen():
            return "prediction"
        case Begun():
            return "begun"
        case Ended():
            return "ended"
        case Changed(change):
            return change.kind
        case Over():
            return "over"


def iso(wall: float) -> str:
    """Unix time in seconds as ISO 8601 in UTC, with milliseconds."""
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _particulars(report: Report, topk: int) -> dict[str, Any]:
    match report.what:
        case Seen(prediction):
            told = prediction.to_dict(topk)
            return {"frames": told["frames"], "top": told["top"]}
        case Begun(event, wall):
            return {**_named(event, wall), "confidence": round(event.confidence, 6)}
        case Ended(event, wall):
            return {**_named(event, wall), "end": _seconds(event.end), "confidence": round(event.confidence, 6)}
        case Changed(change):
            return {"why": change.why, "seconds": round(change.seconds, 3)}
        case Over(error):
            return {"error": None if error is None else str(error)}


def _named(event: Event, wall: float | None) -> dict[str, Any]:
    """What tells an event from others."""
    began = None if wall is None else iso(wall)
    return {"id": event.id, "label": event.label, "start": round(event.start, 3), "began": began}


def _figures(figures: Figures) -> dict[str, float]:
    source = figures.source
    return {
        "frames": source.frames,
        "late": source.late,
        "damaged": source.damaged,
        "dropped": source.dropped,
        "reconnects": source.reconnects,
        "lag": round(source.lag, 3),
        "fps": round(figures.fps, 2),
        "step_ms": round(figures.step_ms, 2),
        "still": figures.still,
    }


def _seconds(time: float | None) -> float | None:
    return None if time is None else round(time, 3)
