"""Backgrounds for synthetic clips: rooms, curtains, cloths, carpets, shelves, views from a window."""

from collections.abc import Callable

import numpy as np

from movinet.data.synthetic.textures import Image, color, cover, fractal_noise, noise, paint


def draw_scene(rng: np.random.Generator, shape: tuple[int, int]) -> Image:
    """One background, unevenly lit: (height, width, 3) float32 in [0, 1], the same picture at any `shape`."""
    scene = _SCENES[int(rng.choice(len(_SCENES), p=_SHARES))]
    picture = scene(rng, shape)
    light = (
        1 + rng.uniform(0, 0.4) * noise(rng, shape, (1.6, 1.9)) + rng.uniform(0, 0.06) * fractal_noise(rng, shape, 8, 3)
    )
    picture *= light[..., None].astype(np.float32)
    if rng.random() < 0.2:  # a lamp or its reflection
        y, x = _axes(shape)
        glow = np.exp(-((x - rng.random()) ** 2 + (y - rng.random()) ** 2) / np.float32(rng.uniform(0.005, 0.1)))
        picture += (rng.uniform(0.2, 0.8) * glow)[..., None].astype(np.float32)
    return np.clip(picture, 0, 1).astype(np.float32)


def _axes(shape: tuple[int, int]) -> tuple[Image, Image]:
    """y (height, 1) and x (1, width) of pixel centers as fractions."""
    y, x = ((np.arange(size, dtype=np.float32) + np.float32(0.5)) / np.float32(size) for size in shape)
    return y[:, None], x[None]


def _plain(shape: tuple[int, int], fill: Image) -> Image:
    return np.broadcast_to(fill, (*shape, 3)).astype(np.float32)


def _rectangle(picture: Image, top: float, left: float, bottom: float, right: float, fill: Image) -> None:
    """Fills a rectangle, given in fractions of the picture."""
    height, width = picture.shape[:2]
    rows = slice(max(0, round(top * height)), max(0, round(bottom * height)))
    columns = slice(max(0, round(left * width)), max(0, round(right * width)))
    picture[rows, columns] = fill


def _wall(rng: np.random.Generator, shape: tuple[int, int]) -> Image:
    """A wall, often with a table, skirting or dado below and a door's edge beside it."""
    picture = _plain(shape, color(rng, vivid=0.15, low=0.15, high=0.9))
    y, x = _axes(shape)
    if rng.random() < 0.5:
        line = y - rng.uniform(0.55, 0.95) - rng.normal(0, 0.05) * (x - 0.5)
        grain = 1 + 0.1 * noise(rng, shape, (60, 3))[..., None]
        paint(picture, cover(-line, 0.01), color(rng, vivid=0.4) * grain)
    for _ in range(int(rng.integers(0, 3))):
        strip = np.abs(x - rng.random() - rng.normal(0, 0.06) * (y - 0.5)) - rng.uniform(0.004, 0.04)
        paint(picture, cover(strip, 0.01), color(rng, vivid=0.3))
    return picture + np.float32(rng.uniform(0, 0.05)) * fractal_noise(rng, shape, 12, 4)[..., None]


def _curtain(rng: np.random.Generator, shape: tuple[int, int]) -> Image:
    """Vertical folds."""
    y, x = _axes(shape)
    x = x + np.float32(rng.uniform(0, 0.02)) * noise(rng, shape, (1.5, 4))
    folds = np.zeros(shape, dtype=np.float32)
    for frequency in rng.uniform(3, 22, 4):
        folds += np.sin(2 * np.pi * (frequency * x + rng.random() + rng.normal(0, 0.2) * y)).astype(np.float32)
    depth = rng.uniform(0.1, 0.5)
    base = color(rng, vivid=0.4, low=0.05)
    second = color(rng, vivid=0.4)
    stripes = cover(np.sin(2 * np.pi * (rng.uniform(1, 3) * x + rng.random())).astype(np.float32), 0.3)
    cloth = base + (rng.random() < 0.4) * stripes[..., None] * (second - base)
    return (cloth * (1 + depth * folds / 2)[..., None]).astype(np.float32)


def _cloth(rng: np.random.Generator, shape: tuple[int, int]) -> Image:
    """Printed cloth or a rug: stripes, chevrons, checks, dots or rings, with a border sometimes."""
    y, x = _axes(shape)
    warp = np.float32(rng.uniform(0, 0.05))
    x, y = x + warp * noise(rng, shape, (4, 4)), y + warp * noise(rng, shape, (4, 4))
    angle = rng.uniform(0, np.pi)
    along = x * np.cos(angle) + y * np.sin(angle)
    across = y * np.cos(angle) - x * np.sin(angle)
    pitch = rng.uniform(3, 16)
    kind = int(rng.integers(5))
    if kind == 0:
        wave = np.sin(2 * np.pi * pitch * along)
    elif kind == 1:
        wave = np.sin(2 * np.pi * pitch * (along + 0.6 * np.abs((across * 3) % 1 - 0.5)))
    elif kind == 2:
        wave = np.sin(2 * np.pi * pitch * along) * np.sin(2 * np.pi * pitch * across)
    else:
        rows = np.floor(across * pitch)
        wave = np.hypot((along * pitch + 0.5 * (rows % 2)) % 1 - 0.5, (across * pitch) % 1 - 0.5)
        wave = wave - 0.3 if kind == 3 else np.abs(wave - 0.32) - 0.07
    colors = [color(rng, vivid=0.5) for _ in range(3)]
    picture = _plain(shape, colors[0])
    paint(picture, cover(wave.astype(np.float32), 0.15), colors[1])
    if rng.random() < 0.6:
        paint(
            picture,
            cover(fractal_noise(rng, shape, rng.uniform(2, 12), 3), 0.2) * np.float32(rng.uniform(0.3, 1)),
            colors[2],
        )
    if rng.random() < 0.3:
        yy, xx = _axes(shape)
        edge = np.maximum(np.abs(xx - 0.5), np.abs(yy - 0.5)) - rng.uniform(0.25, 0.45)
        paint(picture, cover(-edge, 0.02), color(rng))
    return picture


def _speckle(rng: np.random.Generator, shape: tuple[int, int]) -> Image:
    """Carpet pile, gravel, marble or lawn: noise through two or three colors."""
    cells = float(np.exp(rng.uniform(np.log(4), np.log(90))))
    level = fractal_noise(rng, shape, cells, 3, gain=rng.uniform(0.4, 0.9))
    picture = _plain(shape, color(rng, vivid=0.3))
    paint(picture, cover(level, rng.uniform(0.2, 1.0)), color(rng, vivid=0.3))
    if rng.random() < 0.5:
        veins = np.abs(fractal_noise(rng, shape, 3, 4)) - np.float32(0.04)
        paint(picture, cover(veins, 0.05) * np.float32(rng.uniform(0.2, 0.9)), color(rng))
    return picture


def _room(rng: np.random.Generator, shape: tuple[int, int]) -> Image:
    """A wall, a floor or desk, furniture, and a bright screen or window."""
    picture = _wall(rng, shape)
    for _ in range(int(rng.integers(3, 14))):
        height, width = rng.uniform(0.03, 0.5, 2)
        top, left = rng.uniform(-0.1, 1.0, 2)
        _rectangle(picture, top, left, top + height, left + width, color(rng, vivid=0.3, low=0.0))
    if rng.random() < 0.5:
        height, width = rng.uniform(0.15, 0.45, 2)
        top, left = rng.uniform(-0.1, 0.5), rng.uniform(0, 0.8)
        _rectangle(picture, top - 0.02, left - 0.02, top + height + 0.02, left + width + 0.02, color(rng, high=0.3))
        _rectangle(picture, top, left, top + height, left + width, color(rng, vivid=0.1, low=0.85, high=1.0))
    return picture


def _shelf(rng: np.random.Generator, shape: tuple[int, int]) -> Image:
    """Rows of books, or a front with windows."""
    picture = _plain(shape, color(rng, high=0.6))
    rows = int(rng.integers(2, 7))
    regular = rng.random() < 0.4
    glass = color(rng, high=0.4)
    for row in range(rows):
        left = 0.0
        while left < 1:
            width = 0.08 if regular else rng.uniform(0.01, 0.06)
            top = row / rows + (0.04 if regular else rng.uniform(0.02, 0.1) / rows * 3)
            fill = glass * np.float32(rng.uniform(0.7, 1.3)) if regular else color(rng, vivid=0.5)
            _rectangle(picture, top, left, (row + 0.9) / rows, left + width * 0.8, fill)
            left += width
    return picture


def _outdoors(rng: np.random.Generator, shape: tuple[int, int]) -> Image:
    """Sky, a horizon, fields or foliage, perhaps buildings, perhaps a railing."""
    y, _ = _axes(shape)
    horizon = rng.uniform(0.0, 0.6)
    sky = np.array([0.75, 0.88, 0.95], dtype=np.float32) * np.float32(rng.uniform(0.7, 1.1))
    picture = _plain(shape, sky) + (0.2 * (y - horizon))[..., None].astype(np.float32)
    green = np.array([0.35, 0.5, 0.22], dtype=np.float32) * np.float32(rng.uniform(0.4, 1.3)) + np.float32(0.4) * color(
        rng, high=0.4
    )
    leaves = fractal_noise(rng, shape, rng.uniform(4, 14), 5, gain=0.8)
    ground = y - horizon + np.float32(0.05) * noise(rng, shape, (2, 8))
    paint(picture, cover(-ground, 0.02), green * (1 + leaves[..., None]))
    fields = cover(fractal_noise(rng, shape, rng.uniform(2, 5), 3) + np.float32(0.15), 0.1) * (ground > 0)
    paint(picture, fields * np.float32(0.8), color(rng, vivid=0.3, low=0.3))
    for _ in range(int(rng.integers(0, 5))):
        top, left = horizon + rng.uniform(-0.2, 0.2), rng.uniform(-0.1, 1)
        height, width = rng.uniform(0.08, 0.3, 2)
        wall = color(rng, vivid=0.15, low=0.4)
        _rectangle(picture, top, left, top + height, left + width, wall)
        for window_top in np.arange(top + 0.02, top + height - 0.02, 0.05):
            for window_left in np.arange(left + 0.02, left + width - 0.02, 0.04):
                _rectangle(
                    picture, window_top, window_left, window_top + 0.025, window_left + 0.02, wall * np.float32(0.5)
                )
    if rng.random() < 0.3:
        top = rng.uniform(0.75, 0.95)
        _rectangle(picture, top, 0, top + rng.uniform(0.03, 0.1), 1, color(rng, high=0.4))
    return picture


def _clutter(rng: np.random.Generator, shape: tuple[int, int]) -> Image:
    """Ellipses in every color, skin's included: what is round and pink is not always a hand."""
    picture = _speckle(rng, shape)
    y, x = _axes(shape)
    for _ in range(int(rng.integers(6, 18))):
        size = rng.uniform(0.03, 0.2, 2)
        angle = rng.uniform(0, np.pi)
        dx, dy = x - np.float32(rng.random()), y - np.float32(rng.random())
        along = (dx * np.cos(angle) + dy * np.sin(angle)) / size[0]
        across = (dy * np.cos(angle) - dx * np.sin(angle)) / size[1]
        paint(picture, cover((np.hypot(along, across) - 1).astype(np.float32), 0.15), color(rng, vivid=0.4))
    return picture


_SCENES: tuple[Callable[[np.random.Generator, tuple[int, int]], Image], ...] = (
    _wall, _curtain, _cloth, _speckle, _room, _shelf, _outdoors, _clutter,
)  # fmt: skip
_SHARES = (0.2, 0.13, 0.14, 0.1, 0.18, 0.08, 0.1, 0.07)
