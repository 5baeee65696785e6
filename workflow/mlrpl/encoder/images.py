"""How an image file becomes the encoder's input: decoding, views, normalisation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from mlrpl.archives.formats import Archive
from mlrpl.encoder.decoding import PictureError, decode
from mlrpl.errors import UserError

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

# What part of the image a view shows: left, top, right, bottom, as shares of its sides.
# The crops have 7/8 of each side.
VIEWS = {
    "full": (0.0, 0.0, 1.0, 1.0),
    "flip": (0.0, 0.0, 1.0, 1.0),  # mirrored
    "crop_center": (0.0625, 0.0625, 0.9375, 0.9375),
    "crop_top_left": (0.0, 0.0, 0.875, 0.875),
    "crop_top_right": (0.125, 0.0, 1.0, 0.875),
    "crop_bottom_left": (0.0, 0.125, 0.875, 1.0),
    "crop_bottom_right": (0.125, 0.125, 1.0, 1.0),
}
# Bytes of one picture's file: more than those of the most pixels that Pillow reads.
LARGEST_FILE = 1 << 30
INTERPOLATION = "bicubic"
TURNED = f"{INTERPOLATION}, after the rotation of EXIF"


@dataclass(frozen=True)
class Preparation:
    """How an image becomes the encoder's input.

    Attributes:
        image_size: side of the square that a view is resized to, in pixels; the
            proportions of the sides are not kept.
        mean: of the normalisation, a number each for red, green and blue in 0..1.
        std: its standard deviations.
        views: names of the V views (`VIEWS`), without repetition.
        exif_rotation: whether a picture is first turned as its EXIF entry says; by
            default it is taken as it is stored, as torchvision and the field do.
    """

    image_size: int
    mean: Sequence[float] = CLIP_MEAN
    std: Sequence[float] = CLIP_STD
    views: Sequence[str] = ("full",)
    exif_rotation: bool = False

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            UserError: naming the one that is wrong.
        """
        for view in self.views:
            if view not in VIEWS:
                raise UserError(
                    f"encoder views: {view!r} is not a view; choose from "
                    f"{', '.join(VIEWS)}"
                )
        if not self.views or len(set(self.views)) != len(self.views):
            raise UserError(
                f"encoder views: {', '.join(self.views) or 'none'}; name at least one, "
                "and each once"
            )
        for name, numbers in (("mean", self.mean), ("std", self.std)):
            if len(numbers) != 3 or (name == "std" and min(numbers) <= 0):
                raise UserError(
                    f"encoder {name}: {' '.join(map(str, numbers))} is not allowed; "
                    f"give clip or three {'positive ' * (name == 'std')}numbers"
                )

    @property
    def resampling(self) -> str:
        """How pixels come about, as feature files say it."""
        return TURNED if self.exif_rotation else INTERPOLATION

    def pixels(self, data: bytes) -> np.ndarray:
        """Decode an image file; return its views, uint8 [V, S, S, 3].

        Raises:
            PictureError: what is wrong with the file (`decoding.decode`).
        """
        size = (self.image_size, self.image_size)
        image = decode(data, self.exif_rotation)
        out = np.empty((len(self.views), *size, 3), np.uint8)
        for row, view in zip(out, self.views, strict=True):
            left, top, right, bottom = VIEWS[view]
            box = (
                left * image.width,
                top * image.height,
                right * image.width,
                bottom * image.height,
            )
            shown = np.asarray(image.resize(size, Image.Resampling.BICUBIC, box=box))
            row[:] = shown[:, ::-1] if view == "flip" else shown
        return out

    def normalize(self, pixels: Tensor) -> Tensor:
        """Turn uint8 [B, S, S, 3] into the encoder's input, fp32 [B, 3, S, S]."""
        mean = torch.tensor(self.mean, dtype=torch.float32, device=pixels.device)
        std = torch.tensor(self.std, dtype=torch.float32, device=pixels.device)
        # The channels stay last in memory, which convolutions like.
        return ((pixels.float() / 255 - mean) / std).permute(0, 3, 1, 2)


class ShardImages(Dataset):
    """The decoded images of a shard; works in the processes of a DataLoader."""

    def __init__(
        self, archive: Archive, names: Sequence[str], preparation: Preparation
    ):
        self._archive = archive
        self._names = names
        self._preparation = preparation

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, row: int) -> np.ndarray | str:
        """Return the views, uint8 [V, S, S, 3], or what is wrong with the image.

        An exception would reach the main process as several lines.
        """
        name = self._names[row]
        try:
            return self._preparation.pixels(self._archive.read(name, LARGEST_FILE))
        except UserError as error:
            return str(error)
        except PictureError as error:
            return (
                f"{self._archive.path}: image {name} cannot be decoded ({error}); "
                f"{error.remedy}"
            )
