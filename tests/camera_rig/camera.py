"""A camera of the rig, however it is reached: its clock, what it shows, and what can go wrong with it."""

import random
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from camera_rig.footage import Footage, Unit

_TICK = 0.01  # seconds between looks at what the test wants
_ASLEEP = 2.0  # seconds late after which units are passed over: a camera's clock goes on


@dataclass
class Faults:
    """What is wrong with a camera; a test sets them as it goes on.

    Args:
        hanging: Nothing is answered and nothing sent, connections stay. From the start: a mute server.
        frozen: Nothing is sent, requests are answered.
        blind: No pictures; sound goes on.
        holding: Units are kept, and sent all at once when this ends.
        jump: Seconds added to stamps.
        lost: Share of RTP packets that are not sent.
        damaged: Share of RTP packets, or of JPEGs, with bytes that are wrong.
        slow: Seconds before a request is answered.
    """

    hanging: bool = False
    frozen: bool = False
    blind: bool = False
    holding: bool = False
    jump: float = 0.0
    lost: float = 0.0
    damaged: float = 0.0
    slow: float = 0.0


@dataclass(frozen=True)
class Sent:
    """A picture that was sent.

    Args:
        number: What is burnt into it.
        at: When, by `time.monotonic`.
        time: The stamp it had, seconds.
    """

    number: int
    at: float
    time: float


class Camera:
    """Shows footage over and over by a clock that goes on while nobody looks.

    Args:
        footage: What it shows.
        user, password: Who may look; anybody where there is no user. May be set anew.
    """

    def __init__(self, footage: Footage, *, user: str = "", password: str = "") -> None:
        self.footage, self.user, self.password = footage, user, password
        self.faults = Faults()
        self.began = time.monotonic()
        self.sent: deque[Sent] = deque(maxlen=100_000)
        self._chance = random.Random(0)

    def show(self, footage: Footage) -> None:
        """Something else from the next unit on, such as another size; of as many pictures a second."""
        assert footage.fps == self.footage.fps
        self.footage = footage

    def watched(self, gone: threading.Event) -> Iterator[list[tuple[Unit, bool]]]:
        """Units as they come, each with whether it is to be seen; several where they were held back.

        A client that comes sees what comes next, as a camera's clients do: rarely a key frame.
        """
        period = 1 / self.footage.fps
        index = int((time.monotonic() - self.began) / period) + 1
        held: list[tuple[Unit, bool]] = []
        while not gone.is_set():
            late = time.monotonic() - (self.began + index * period)
            if late < 0:
                gone.wait(min(-late, 0.25))
                continue
            faults = self.faults
            if late > _ASLEEP and not faults.holding:
                index = int((time.monotonic() - self.began) / period)
            unit = self.footage.at(index)
            index += 1
            if faults.hanging or faults.frozen:
                continue
            held.append((unit, not faults.blind))
            if not faults.holding:
                yield held
                held = []

    def tell(self, unit: Unit) -> None:
        """A unit goes out."""
        self.sent.append(Sent(unit.number, time.monotonic(), unit.time + self.faults.jump))

    def answer_in_time(self, gone: threading.Event) -> None:
        """Wait as long as a request waits."""
        if self.faults.slow:
            gone.wait(self.faults.slow)
        while self.faults.hanging and not gone.is_set():
            gone.wait(_TICK)

    def mistreat(self, packets: list[bytes], spare: int) -> list[bytes]:
        """Packets without those that are lost, and with wrong bytes in those that are damaged, not in the first
        `spare`."""
        faults = self.faults
        if not faults.lost and not faults.damaged:
            return packets
        kept = [packet for packet in packets if self._chance.random() >= faults.lost]
        return [self._damage(packet, spare) if self._chance.random() < faults.damaged else packet for packet in kept]

    def _damage(self, packet: bytes, spare: int) -> bytes:
        if len(packet) <= spare:
            return packet
        wrong = bytearray(packet)
        for place in self._chance.choices(range(spare, len(packet)), k=1 + len(packet) // 50):
            wrong[place] = self._chance.randrange(256)
        return bytes(wrong)
