"""Procedural textures, at most 128 pixels wide, RGB. All noise comes from the generator that is handed in."""

from __future__ import annotations

from typing import Callable, Dict, Tuple

import numpy as np

from embodied.arrays import Float, UInt8

Rgb = Tuple[int, int, int]
Texture = UInt8[np.ndarray, "texture_height texture_width 3"]

COLOURS: Dict[str, Rgb] = {
    "red": (205, 32, 38),
    "green": (40, 150, 62),
    "blue": (36, 88, 205),
    "yellow": (242, 208, 36),
    "white": (240, 239, 234),
    "black": (34, 34, 37),
    "brown": (128, 80, 44),
    "orange": (242, 124, 20),
    "purple": (122, 52, 168),
    "pink": (244, 140, 184),
    "gray": (134, 137, 141),
}
"""The colours that people name things by."""


def plain(rgb: Rgb) -> Texture:
    """Return one pixel."""
    return np.array([[rgb]], dtype=np.uint8)


def shade(rgb: Rgb, factor: float) -> Rgb:
    """Return a lighter (> 1) or darker (< 1) colour."""
    r, g, b = (int(min(255.0, channel * factor)) for channel in rgb)
    return r, g, b


def wood(rng: np.random.Generator, rgb: Rgb, size: int = 96) -> Texture:
    """Return grain that runs along the texture's width, of a tone between pale and dark."""
    rgb = shade(rgb, float(rng.uniform(0.8, 1.2)))
    y = np.arange(size)[:, None] / size
    x = np.arange(size)[None, :] / size
    wobble = _smooth_noise(rng, size, 3) * 0.9 + _smooth_noise(rng, size, 9) * 0.15
    rings = 0.5 + 0.5 * np.sin(2 * np.pi * (y * 7 + 0.7 * wobble + 0.1 * np.sin(2 * np.pi * x)))
    fibres = np.repeat(rng.normal(0.0, 0.035, (size, 1)), size, axis=1)
    return _tint(rgb, 0.88 + 0.14 * rings + fibres)


def planks(rng: np.random.Generator, rgb: Rgb, n: int = 6, size: int = 128) -> Texture:
    """Return floor boards along the texture's width."""
    image = wood(rng, rgb, size).astype(float)
    height = size // n
    for row in range(n):
        rows = slice(row * height, (row + 1) * height if row < n - 1 else size)
        image[rows] *= rng.uniform(0.86, 1.1)
        image[row * height] *= 0.6
        joint = int(rng.integers(0, size))
        image[rows, joint : joint + 1] *= 0.6
    return _clip(image)


def tiles(rng: np.random.Generator, rgb: Rgb, grout: Rgb, n: int = 4, size: int = 128) -> Texture:
    """Return square tiles with joints."""
    step = size // n
    tone = np.kron(rng.uniform(0.93, 1.05, (n, n)), np.ones((step, step)))
    image = np.array(rgb) * (tone + 0.02 * _smooth_noise(rng, size, 16))[..., None]
    index = np.arange(size) % step
    joint = (index < 2)[:, None] | (index < 2)[None, :]
    image[joint] = grout
    return _clip(image)


def checks(rgb: Rgb, other: Rgb, n: int = 4, size: int = 64) -> Texture:
    """Return a checkerboard."""
    index = np.arange(size) * n // size
    mask = (index[:, None] + index[None, :]) % 2 == 0
    return np.where(mask[..., None], np.array(rgb), np.array(other)).astype(np.uint8)


def stripes(rgb: Rgb, other: Rgb, n: int = 4, size: int = 64, share: float = 0.5) -> Texture:
    """Return bands across the height; ``share`` of each is the first colour."""
    phase = (np.arange(size) * n / size) % 1.0
    image = np.where((phase < share)[:, None, None], np.array(rgb), np.array(other))
    return np.broadcast_to(image, (size, size, 3)).astype(np.uint8)


def fabric(rng: np.random.Generator, rgb: Rgb, size: int = 64) -> Texture:
    """Return a coarse weave."""
    index = np.arange(size)
    weave = np.where(((index[:, None] // 2 + index[None, :] // 2) % 2) == 0, 1.05, 0.9)
    return _tint(rgb, weave + rng.normal(0.0, 0.04, (size, size)))


def carpet(rng: np.random.Generator, rgb: Rgb, size: int = 128) -> Texture:
    """Return short pile."""
    return _tint(rgb, 1.0 + rng.normal(0.0, 0.09, (size, size)) + 0.06 * _smooth_noise(rng, size, 8))


def fur(rng: np.random.Generator, rgb: Rgb, size: int = 64) -> Texture:
    """Return plush."""
    return _tint(rgb, 0.97 + 0.14 * _smooth_noise(rng, size, 16) + rng.normal(0.0, 0.05, (size, size)))


def plaster(rng: np.random.Generator, rgb: Rgb, size: int = 64) -> Texture:
    """Return painted wall."""
    return _tint(rgb, 1.0 + rng.normal(0.0, 0.012, (size, size)) + 0.015 * _smooth_noise(rng, size, 6))


def marble(rng: np.random.Generator, rgb: Rgb, size: int = 128) -> Texture:
    """Return stone with veins."""
    field = _smooth_noise(rng, size, 4) + 0.5 * _smooth_noise(rng, size, 10)
    veins = np.exp(-np.abs(np.sin(3.0 * np.pi * field)) * 9.0)
    return _tint(rgb, 1.02 - 0.35 * veins + 0.03 * _smooth_noise(rng, size, 20))


def brushed(rng: np.random.Generator, rgb: Rgb, size: int = 64) -> Texture:
    """Return metal brushed along the texture's width."""
    lines = np.repeat(rng.normal(0.0, 0.05, (size, 1)), size, axis=1)
    return _tint(rgb, 1.0 + lines + rng.normal(0.0, 0.015, (size, size)))


def wicker(rng: np.random.Generator, rgb: Rgb, size: int = 64) -> Texture:
    """Return basket work."""
    index = np.arange(size)
    over = ((index[:, None] // 8) + (index[None, :] // 8)) % 2 == 0
    bulge = np.abs(np.sin(np.pi * (index % 8 + 0.5) / 8))
    pattern = np.where(over, 0.65 + 0.45 * bulge[:, None], 0.55 + 0.4 * bulge[None, :])
    return _tint(rgb, pattern + rng.normal(0.0, 0.03, (size, size)))


def glaze(rng: np.random.Generator, rgb: Rgb, size: int = 64) -> Texture:
    """Return glazed pottery: a bright band of reflected light and dark specks."""
    across = np.sin(np.pi * np.arange(size) / size)[None, :] ** 8
    specks = np.where(rng.uniform(size=(size, size)) < 0.025, -0.35, 0.0)
    return _tint(rgb, 0.94 + 0.22 * across + specks + 0.04 * _smooth_noise(rng, size, 6))


def glass(rng: np.random.Generator, rgb: Rgb, size: int = 64) -> Texture:
    """Return tinted glass as it reflects a room: sharp light streaks on a ground that fades from edge to edge."""
    x = np.arange(size)[None, :] / size
    streaks = sum(np.exp(-(((x - at) / width) ** 2)) for at, width in ((rng.uniform(0.15, 0.35), 0.03), (0.7, 0.08)))
    return _tint(rgb, 0.82 + 0.16 * x + 0.35 * np.repeat(streaks, size, axis=0))


def leather(rng: np.random.Generator, rgb: Rgb, size: int = 96) -> Texture:
    """Return creased leather."""
    field = _smooth_noise(rng, size, 12) + 0.6 * _smooth_noise(rng, size, 24)
    return _tint(rgb, 1.02 - 0.25 * np.exp(-np.abs(field) * 12.0) + rng.normal(0.0, 0.015, (size, size)))


def dots(rgb: Rgb, other: Rgb, n: int = 4, size: int = 64) -> Texture:
    """Return printed plastic with round dots."""
    y, x = ((np.mgrid[:size, :size] + 0.5) * n / size) % 1.0 - 0.5
    return np.where(((x * x + y * y) < 0.06)[..., None], np.array(other), np.array(rgb)).astype(np.uint8)


def ribs(rgb: Rgb, n: int = 10, size: int = 64) -> Texture:
    """Return moulded plastic with upright ribs."""
    phase = (np.arange(size) * n / size) % 1.0
    return _tint(rgb, np.repeat((0.88 + 0.18 * np.abs(np.sin(np.pi * phase)))[None, :], size, axis=0))


def material(rng: np.random.Generator, name: str, rgb: Rgb) -> Texture:
    """Return the surface of a material by its name.

    Raises:
        ValueError: There is no such material.
    """
    pale = shade(rgb, 1.7) if sum(rgb) < 420 else shade(rgb, 0.6)
    builders: Dict[str, Callable[[], Texture]] = {
        "plain": lambda: plain(rgb),
        "ceramic": lambda: glaze(rng, rgb),
        "glass": lambda: glass(rng, rgb),
        "metal": lambda: brushed(rng, rgb),
        "fabric": lambda: fabric(rng, rgb),
        "leather": lambda: leather(rng, rgb),
        "dotted plastic": lambda: dots(rgb, pale),
        "striped plastic": lambda: stripes(rgb, pale, 3, share=0.75),
        "ribbed plastic": lambda: ribs(rgb),
    }
    if name not in builders:
        raise ValueError(f"name: expected one of {sorted(builders)}, got {name!r}")
    return builders[name]()


def cover(rng: np.random.Generator, rgb: Rgb, size: int = 64) -> Texture:
    """Return a book's cover: a band, a title and a small emblem on the colour."""
    image = np.tile(np.array(rgb, dtype=float), (size, size, 1))
    light = np.array(shade(rgb, 1.5)) * 0.5 + 110.0
    image[size // 8 : size // 8 + 3] *= 0.7
    image[-size // 8 : -size // 8 + 3] *= 0.7
    for row in range(2):
        width = int(rng.integers(size // 3, size // 2 + 8))
        left, top = (size - width) // 2, size // 4 + row * 8
        image[top : top + 4, left : left + width] = light
    yy, xx = np.mgrid[:size, :size]
    emblem = (yy - size * 0.68) ** 2 + (xx - size * 0.5) ** 2 < (size * 0.11) ** 2
    image[emblem] = light
    return _clip(image)


def screen(rng: np.random.Generator, kind: str, size: int = 96) -> Texture:
    """Return what a display shows: a ``film`` (a landscape) or a ``desktop`` with windows."""
    yy, xx = np.mgrid[:size, :size] / size
    if kind == "film":
        image = np.stack([90 + 110 * yy, 140 + 70 * yy, 215 - 30 * yy], axis=-1)
        for base, rgb in ((0.55, (86, 120, 96)), (0.68, (58, 104, 62)), (0.82, (38, 74, 40))):
            ridge = base + 0.07 * np.sin(2 * np.pi * (xx * rng.uniform(1, 2.5) + rng.uniform()))
            image[yy > ridge] = rgb
        image[(yy - 0.25) ** 2 + (xx - rng.uniform(0.3, 0.8)) ** 2 < 0.006] = (255, 240, 180)
        return _clip(image)
    image = np.stack([20 + 30 * yy, 60 + 50 * xx, 110 + 60 * yy], axis=-1)
    for left, top, width, height in ((8, 12, 46, 58), (42, 30, 46, 44)):
        image[top : top + height, left : left + width] = (236, 238, 240)
        image[top : top + 6, left : left + width] = (70, 110, 180)
        for line in range(top + 11, top + height - 4, 6):
            image[line : line + 2, left + 4 : left + 4 + int(rng.integers(width // 3, width - 8))] = (90, 94, 100)
    return _clip(image)


def keys(rgb: Rgb, cap: Rgb, rows: int = 5, columns: int = 15, size: int = 128) -> Texture:
    """Return a keyboard's field of caps."""
    image = np.tile(np.array(rgb, dtype=float), (size // 2, size, 1))
    for row in range(rows):
        for column in range(columns):
            top, left = row * (size // 2) // rows + 2, column * size // columns + 1
            image[top : top + (size // 2) // rows - 3, left : left + size // columns - 2] = cap
    return _clip(image)


def dial(face: Rgb, ink: Rgb, size: int = 96) -> Texture:
    """Return a clock's face: twelve marks and two hands at ten past ten."""
    yy, xx = (np.mgrid[:size, :size] + 0.5) / size - 0.5
    image = np.tile(np.array(face, dtype=float), (size, size, 1))
    radius, angle = np.hypot(xx, yy), np.arctan2(xx, -yy)
    mark = np.abs((angle / (2 * np.pi) * 12 + 0.5) % 1.0 - 0.5) < 0.14
    image[mark & (radius > 0.36) & (radius < 0.45)] = ink
    for length, turn, thick in ((0.24, -60.0, 0.03), (0.34, 60.0, 0.02)):
        along = xx * np.sin(np.radians(turn)) - yy * np.cos(np.radians(turn))
        across = xx * np.cos(np.radians(turn)) + yy * np.sin(np.radians(turn))
        image[(along > -0.04) & (along < length) & (np.abs(across) < thick)] = ink
    return _clip(image)


def window(rng: np.random.Generator, size: int = 64) -> Texture:
    """Return a view out: sky, clouds and a line of trees."""
    yy = np.mgrid[:size, :size][0] / size
    image = np.stack([150 + 70 * yy, 195 + 35 * yy, np.full_like(yy, 245.0)], axis=-1)
    clouds = np.clip(_smooth_noise(rng, size, 5), 0.0, 1.0)[..., None]
    image = image * (1.0 - 0.5 * clouds) + 255.0 * 0.5 * clouds
    trees = 0.72 + 0.06 * np.repeat(_smooth_noise(rng, size, 8)[:1], size, axis=0)
    image[yy > trees] = (92, 138, 84)
    return _clip(image)


def globe_map(rng: np.random.Generator, sea: Rgb, land: Rgb, size: int = 96) -> Texture:
    """Return continents on a sea."""
    field = _smooth_noise(rng, size, 6) + 0.4 * _smooth_noise(rng, size, 12)
    return np.where((field > 0.22)[..., None], np.array(land), np.array(sea)).astype(np.uint8)


def _smooth_noise(rng: np.random.Generator, size: int, cells: int) -> Float[np.ndarray, "size size"]:
    """Noise about 0, roughly in [-1, 1], that repeats without a seam: bilinear between random grid values."""
    grid = rng.uniform(-1.0, 1.0, (cells, cells))
    position = np.arange(size) * cells / size
    low = position.astype(int) % cells
    high, share = (low + 1) % cells, position - np.floor(position)
    share = share * share * (3.0 - 2.0 * share)
    rows = grid[low] * (1.0 - share)[:, None] + grid[high] * share[:, None]
    return np.asarray(rows[:, low] * (1.0 - share)[None, :] + rows[:, high] * share[None, :])


def _tint(rgb: Rgb, factor: Float[np.ndarray, "height width"]) -> Texture:
    return _clip(np.array(rgb, dtype=float) * factor[..., None])


def _clip(image: Float[np.ndarray, "height width 3"]) -> Texture:
    return np.asarray(np.clip(image, 0.0, 255.0).astype(np.uint8))
