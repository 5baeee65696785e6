"""A small encoder, an archive of pictures, and features of both."""

import io
import tarfile
import zipfile

import numpy as np
import pytest

from mlrpl.data.index import Index
from mlrpl.encoder.clip import load_clip
from mlrpl.encoder.features import extract
from mlrpl.encoder.images import Preparation
from support import tiny_clip
from support.pictures import COUNT, MODES, SIZE, picture


@pytest.fixture(scope="module")
def pictures() -> dict[str, bytes]:
    return {f"in/{i}.jpg": picture(i, mode) for i, mode in enumerate(MODES)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, pictures):
    """The same images as zip, tar and folder, their index, and a small model."""
    folder = tmp_path_factory.mktemp("features")
    with (
        zipfile.ZipFile(folder / "images.zip", "w") as packed,
        tarfile.open(folder / "images.tar", "w") as tar,
    ):
        for name, data in pictures.items():
            packed.writestr(name, data)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
            (folder / "images" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "images" / name).write_bytes(data)
    labels = np.ones((COUNT, 2), np.int8)
    index = Index("tiny", "train", ("cat", "dog"), tuple(pictures), labels)
    index.save(folder / "index.h5")
    tiny_clip.write(folder, tiny_clip.RESNET)
    return folder


@pytest.fixture(scope="module")
def index(folder):
    return Index.load(folder / "index.h5")


@pytest.fixture(scope="module")
def clip(folder):
    return load_clip(f"{folder}/tiny.json", f"{folder}/tiny.safetensors", SIZE)


@pytest.fixture
def make(folder, index, clip, tmp_path):
    """Extract with defaults that a test may replace; return the file."""

    def extracted(name="0.h5", *, archive="images.zip", views=("full",), **options):
        output = tmp_path / name
        source = folder / archive
        turn = options.pop("exif_rotation", False)
        preparation = Preparation(SIZE, views=views, exif_rotation=turn)
        extract(
            options.pop("clip", clip),
            options.pop("index", index),
            source,
            output,
            preparation,
            **{"progress": False, "batch_size": 3} | options,
        )
        return output

    return extracted
