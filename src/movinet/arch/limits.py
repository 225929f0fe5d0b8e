"""How large a network may be: far beyond any of use, and small enough that no file asks for all memory there is."""

from movinet.errors import SpecError
from movinet.reading import encodable

LONGEST_NAME = 200  # characters
WIDEST = 1 << 16  # channels of a layer
MOST_CLASSES = 1 << 20
MOST_FRAMES = 1 << 20
LARGEST_SIDE = 1 << 14  # pixels
LARGEST_KERNEL = 127  # frames or pixels
MOST_LAYERS = 256
MOST_MEMBERS = 16
MOST_PARAMETERS = 1 << 28  # 1 GiB; the largest published network has 2^24
MOST_ACTIVATIONS = 1 << 28  # numbers of a layer, for one frame, or of all states of a stream
FASTEST, SLOWEST = 1e6, 1e-6  # frames a second


def check_name(name: object) -> None:
    """Raises `SpecError` where a name is none."""
    if not isinstance(name, str) or not name or len(name) > LONGEST_NAME or not encodable(name):
        raise SpecError(f"a network's name is a text of up to {LONGEST_NAME} characters, not {name!r:.80}")
