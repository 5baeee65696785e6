"""The encoder's input, against torchvision."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from mlrpl.config.validation import config_schema
from mlrpl.encoder.images import CLIP_MEAN, CLIP_STD, VIEWS, Preparation
from support.data_files import fails
from support.pictures import SIZE, picture

pytestmark = pytest.mark.usefixtures("one_thread")


def test_pixels_are_those_of_torchvision(pictures):
    transform = v2.Compose(
        [
            v2.Resize((SIZE, SIZE), v2.InterpolationMode.BICUBIC),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(CLIP_MEAN, CLIP_STD),
        ]
    )
    preparation = Preparation(SIZE)
    for data in pictures.values():
        theirs = transform(Image.open(io.BytesIO(data)).convert("RGB"))
        ours = preparation.normalize(torch.from_numpy(preparation.pixels(data)))
        torch.testing.assert_close(ours[0], theirs, rtol=1e-5, atol=1e-5)


def test_the_schema_names_the_views():
    schema = config_schema()["properties"]["encoder"]["properties"]["views"]
    assert schema["items"]["enum"] == list(VIEWS)


def test_views_show_the_parts_that_they_are_named_after():
    preparation = Preparation(SIZE, views=tuple(VIEWS))
    data = picture(0, size=(96, 64))  # 7/8 of the sides are whole pixels
    image = Image.open(io.BytesIO(data)).convert("RGB")
    left, top = {"left": 0, "center": 6, "right": 12}, {"top": 0, "center": 4}
    top["bottom"] = 8
    for name, ours in zip(VIEWS, preparation.pixels(data), strict=True):
        shown = image
        if name.startswith("crop"):
            words = name.split("_")[1:]
            x, y = left[words[-1]], top[words[0]]
            shown = image.crop((x, y, x + 84, y + 56))
        theirs = np.asarray(shown.resize((SIZE, SIZE), Image.Resampling.BICUBIC))
        theirs = theirs[:, ::-1] if name == "flip" else theirs
        # At its border a crop knows nothing of the pixels beside it.
        inner = np.s_[6:-6, 6:-6]
        assert np.abs(ours[inner].astype(int) - theirs[inner]).max() <= 1
        if not name.startswith("crop"):
            assert (ours == theirs).all()


def test_wrong_preparations_are_refused():
    fails(Preparation, 64, views=("full", "zoom"), match="'zoom' is not a view; .*flip")
    fails(Preparation, 64, views=("full", "full"), match="views: full, full; ")
    fails(Preparation, 64, views=(), match="views: none; name at least one")
    fails(Preparation, 64, mean=(0.5,), match="mean: 0.5 is not allowed; give clip or")
    fails(Preparation, 64, std=(0.5, 0, 0.5), match="three positive numbers")
