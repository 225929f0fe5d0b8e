"""The spaces that the published networks may have been found in, as far as they can be told from the networks.

A2's is the paper's. The others are it, scaled; by how much was not published, and differs from block to block: these
base widths hold most of what the networks have. What no base holds, such as an expansion of 160 beside 240 in A2, is
where a network is no point of its space; `Space.nearest` says so.
"""

from movinet.errors import SpecError
from movinet.search.space import Space

_PAPER = (16, 24, 48, 96, 96, 192)
# Of the stem, each block, and the convolution before the pool; and the most layers of a block.
_BASES: dict[str, tuple[tuple[float, ...], int, int]] = {
    "a0": ((8, 10.5, 41.5, 74.5, 74.5, 138.5), 480, 10),
    "a1": ((16, 21.5, 49.5, 85.5, 85.5, 181.5), 600, 10),
    "a2": (_PAPER, 512, 10),
    "a3": ((16, 21.5, 36.5, 77.5, 107, 224), 744, 10),
    "a4": ((24, 32, 55.5, 128, 128, 256), 856, 13),
    "a5": ((24, 32, 77.5, 149.5, 151.5, 298.5), 992, 18),
}


def published_space(name: str) -> Space:
    """The space around `a0` to `a5`.

    Raises:
        SpecError: There is none of this name.
    """
    if name not in _BASES:
        raise SpecError(f"no space is called {name!r}; there are {', '.join(_BASES)}")
    widths, project, layers = _BASES[name]
    return Space(widths=widths, project=project, layers=(tuple(range(1, layers + 1)),) * 5)
