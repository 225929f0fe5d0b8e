"""What a server counts: of its clients' pictures, connections and refusals."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Tally:
    """Counts since the start; the server's loop alone changes them."""

    sockets: int = 0  # WebSocket streams open
    listeners: int = 0  # readers of /api/events
    pictures: int = 0  # that came
    predictions: int = 0
    skipped: int = 0
    dropped: int = 0
    refused: int = 0
    events: int = 0  # begun, of sockets and sources
    decode_seconds: float = 0.0
    decoded: int = 0
    answer_seconds: float = 0.0  # from a picture's arrival to its answer
    closed: Counter[str] = field(default_factory=Counter)  # sockets, by why
    denied: Counter[int] = field(default_factory=Counter)  # requests, by status
