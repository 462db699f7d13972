"""All textures of a scene in one flat array of linear light, with smaller copies for things far away (mipmaps)."""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple

import numpy as np

from embodied.arrays import Float, Int, UInt8

_SRGB = np.arange(256) / 255.0
SRGB_TO_LINEAR = np.where(_SRGB <= 0.04045, _SRGB / 12.92, ((_SRGB + 0.055) / 1.055) ** 2.4).astype(np.float32)


class TextureAtlas:
    """Textures by index. Level 0 is the texture itself, each further level half as large."""

    def __init__(self, textures: Sequence[UInt8[np.ndarray, "_texture_height _texture_width 3"]]) -> None:
        pyramids: List[List[np.ndarray]] = []
        known: Dict[int, int] = {}
        self.slot = np.empty(len(textures), dtype=np.int32)
        """Row of each texture in the tables below; the same picture is kept once."""
        for index, texture in enumerate(textures):
            if id(texture) not in known:
                known[id(texture)] = len(pyramids)
                pyramids.append(_pyramid(SRGB_TO_LINEAR[texture]))
            self.slot[index] = known[id(texture)]
        self.n_levels = max((len(levels) for levels in pyramids), default=1)
        shape = (max(len(pyramids), 1), self.n_levels)
        self.width = np.ones(shape, dtype=np.int32)
        self.height = np.ones(shape, dtype=np.int32)
        self.offset = np.zeros(shape, dtype=np.int32)
        flat: List[np.ndarray] = []
        n_texels = 0
        for row, levels in enumerate(pyramids):
            for level in range(self.n_levels):
                image = levels[min(level, len(levels) - 1)]
                self.height[row, level], self.width[row, level] = image.shape[:2]
                if level < len(levels):
                    flat.append(image.reshape(-1, 3))
                    self.offset[row, level] = n_texels
                    n_texels += flat[-1].shape[0]
                else:
                    self.offset[row, level] = self.offset[row, level - 1]
        texels = np.concatenate(flat) if flat else np.full((1, 3), 0.5, dtype=np.float32)
        self.texels: Float[np.ndarray, "3 n_texels"] = np.ascontiguousarray(texels.T)
        self.width_of_level = self.width.ravel()
        self.height_of_level = self.height.ravel()
        self.offset_of_level = self.offset.ravel()

    def lookup(
        self,
        texture_level: Int[np.ndarray, " n_pixels"],
        u: Float[np.ndarray, " n_pixels"],
        v: Float[np.ndarray, " n_pixels"],
    ) -> Tuple[Float[np.ndarray, " n_pixels"], ...]:
        """Return red, green and blue of the nearest texels, repeating beyond [0, 1].

        Args:
            texture_level: ``slot * n_levels + level`` of each pixel.
            u: To the right, 1 is the width.
            v: Upwards from the texture's lower edge, 1 is the height.
        """
        width = self.width_of_level.take(texture_level)
        height = self.height_of_level.take(texture_level)
        column = ((u - np.floor(u)) * width.astype(np.float32)).astype(np.int32)
        row = ((np.ceil(v) - v) * height.astype(np.float32)).astype(np.int32)
        np.minimum(column, width - 1, out=column)
        np.minimum(row, height - 1, out=row)
        texel = row * width + column + self.offset_of_level.take(texture_level)
        return tuple(color.take(texel) for color in self.texels)


def _pyramid(image: Float[np.ndarray, "_texture_height _texture_width 3"]) -> List[np.ndarray]:
    levels = [image]
    while max(levels[-1].shape[:2]) > 1:
        last = levels[-1]
        if last.shape[0] > 1:
            last = last[: last.shape[0] // 2 * 2].reshape(-1, 2, last.shape[1], 3).mean(axis=1)
        if last.shape[1] > 1:
            last = last[:, : last.shape[1] // 2 * 2].reshape(last.shape[0], -1, 2, 3).mean(axis=2)
        levels.append(last.astype(np.float32))
    return levels
