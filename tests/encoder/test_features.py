"""Extraction into shards, against literal implementations, and its command."""

import io
import json
import re
import zipfile

import h5py
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from mlrpl import __main__
from mlrpl.data.index import Index
from mlrpl.encoder.clip import load_clip
from mlrpl.encoder.features import shard_range
from mlrpl.encoder.images import CLIP_MEAN, CLIP_STD
from mlrpl.training.feature_cache import FeatureCache
from support import tiny_clip
from support.data_files import fails
from support.pictures import COUNT, SIZE, picture

pytestmark = pytest.mark.usefixtures("one_thread")


def test_features_are_the_models_and_say_where_they_come_from(
    make, pictures, index, clip, folder
):
    file = make(views=("full", "flip"))
    model = tiny_clip.build(tiny_clip.RESNET)
    with h5py.File(file) as shard:
        maps, features, attributes = shard["map"], shard["global"], dict(shard.attrs)
        assert maps.shape == (COUNT, 2, 4, 256) and features.shape == (COUNT, 2, 24)
        assert {maps.dtype, features.dtype} == {np.dtype(np.float16)}
        assert maps.chunks is None and maps.compression is None
        maps, features = maps[:].astype(np.float32), features[:].astype(np.float32)
        largest = shard["max"][:].astype(np.float32)
        assert largest.shape == (COUNT, 2, 256)
    mean, std = torch.tensor(CLIP_MEAN), torch.tensor(CLIP_STD)
    for row, data in enumerate(pictures.values()):
        image = Image.open(io.BytesIO(data)).convert("RGB")
        image = image.resize((SIZE, SIZE), Image.Resampling.BICUBIC)
        pixels = torch.from_numpy(np.array(image)) / 255
        for view, shown in enumerate((pixels, pixels.flip(1))):
            images = ((shown - mean) / std).permute(2, 0, 1)[None]
            with torch.no_grad():
                x = model.visual.stem(images)
                for layer in "1234":
                    x = getattr(model.visual, f"layer{layer}")(x)
                before = x.flatten(2).amax(2)  # over all locations, not pooled ones
                x = F.avg_pool2d(x, 2)
                feature = model.visual.attnpool(x)
            np.testing.assert_allclose(
                largest[row, view], before[0], rtol=2e-3, atol=1e-3
            )
            assert (before > x.flatten(2).amax(2)).any()
            x = x.flatten(2).transpose(1, 2)
            np.testing.assert_allclose(maps[row, view], x[0], rtol=2e-3, atol=1e-3)
            np.testing.assert_allclose(
                features[row, view], feature[0], rtol=2e-3, atol=1e-3
            )
    views = json.loads(attributes.pop("views"))
    assert views == ["full", "flip"]
    assert {k: np.asarray(v).tolist() for k, v in attributes.items()} == {
        "dataset": "tiny",
        "split": "train",
        "encoder": f"{folder}/tiny.json",
        "pretrained": f"{folder}/tiny.safetensors",
        "weights_sha256": clip.weights_sha256,
        "image_size": SIZE,
        "mean": list(CLIP_MEAN),
        "std": list(CLIP_STD),
        "interpolation": "bicubic",
        "grid": [2, 2],
        "start": 0,
        "stop": COUNT,
        "images_total": COUNT,
        "images_sha256": index.hash(),
        "precision": "fp32",
    }


def test_equal_arguments_give_equal_bytes(make):
    reference = make("a.h5").read_bytes()
    assert make("b.h5").read_bytes() == reference
    # nor does it matter where the images lie, or which process decodes them
    for archive in ("images.zip", "images.tar", "images"):
        for threads in (1, 2):
            file = make("c.h5", archive=archive, threads=threads, batch_size=2)
            assert file.read_bytes() == reference


def test_shards_join_to_the_whole(make, index, clip):
    whole = FeatureCache([make("whole.h5", views=("full", "crop_center"))])
    for shards in (3, 10):  # more shards than images: some are empty
        paths = [
            make(f"{k}.h5", views=("full", "crop_center"), shard=k, shards=shards)
            for k in range(shards)
        ]
        parts = FeatureCache(paths[::-1])
        assert len(parts) == COUNT
        assert parts.views == ("full", "crop_center") and parts.grid == (2, 2)
        for view in (0, 1):
            assert np.array_equal(parts.read_maps(view), whole.read_maps(view))
            assert np.array_equal(parts.read_globals(view), whole.read_globals(view))
        rows = [5, 0, 6, 5]
        assert np.array_equal(parts.take("map", rows, 1), whole.read_maps(1)[rows])
        pieces = list(parts.pieces("map", 1, rows=2))
        assert np.array_equal(
            np.concatenate([piece for _, piece in pieces]), whole.read_maps(1)
        )
        sizes = [len(piece) for _, piece in pieces]
        assert max(sizes) <= 2
        assert [start for start, _ in pieces] == [0, *np.cumsum(sizes)[:-1]]
    assert whole.read_maps().shape == (COUNT, 4, 256)
    assert whole.read_globals().dtype == np.float16
    assert not np.array_equal(whole.read_maps(0), whole.read_maps(1))
    with pytest.raises(IndexError):
        whole.read_maps(2)
    with pytest.raises(IndexError):
        whole.take("map", [COUNT])


def test_shard_ranges_cover_the_split_once():
    for images in (1, 7, 82_081):
        for shards in (1, 3, 16):
            ranges = [shard_range(images, k, shards) for k in range(shards)]
            assert [r for part in ranges for r in range(*part)] == list(range(images))
            sizes = [stop - start for start, stop in ranges]
            assert max(sizes) - min(sizes) <= 1
    for shard in (-1, 3):
        fails(shard_range, 9, shard, 3, match="there are 3, counted from 0")


@pytest.mark.parametrize("threads", [1, 2])
def test_a_corrupt_image_is_named_and_nothing_is_lost(
    make, folder, pictures, tmp_path, threads
):
    good = make("0.h5", shard=0, shards=2)
    earlier = make("1.h5", shard=1, shards=2)
    before = good.read_bytes(), earlier.read_bytes()
    whole = picture(5)
    for number, data in enumerate(
        (whole[: len(whole) // 2], b"", b"<html>", b"\0" * 99)
    ):
        archive = folder / f"corrupt{number}.zip"
        with zipfile.ZipFile(archive, "w") as packed:
            for name, content in (pictures | {"in/5.jpg": data}).items():
                packed.writestr(name, content)
        message = fails(
            make,
            "1.h5",
            archive=archive.name,
            shard=1,
            shards=2,
            threads=threads,
            match=r"image in/5\.jpg cannot be decoded \([^<]+\); fetch .*the index",
        )
        assert message.startswith(str(archive))
        assert (good.read_bytes(), earlier.read_bytes()) == before
        assert sorted(p.name for p in tmp_path.iterdir()) == ["0.h5", "1.h5"]


def test_damaged_and_incomplete_archives_are_refused(make, folder, index, tmp_path):
    content = (folder / "images.zip").read_bytes()
    (folder / "cut.zip").write_bytes(content[: len(content) * 2 // 3])
    fails(make, archive="cut.zip", match=r"cut\.zip: is a truncated or damaged zip")
    fails(make, archive="gone.zip", match=r"gone\.zip: is not there")
    names = (*index.images[:-1], "in/other.jpg")
    other = Index("tiny", "train", index.classes, names, index.labels)
    for threads in (1, 2):
        fails(make, index=other, threads=threads, match="holds no in/other.jpg; ")
    assert not list(tmp_path.iterdir())


def test_features_beyond_fp16_are_refused(make, clip, folder, index, tmp_path):
    loud = load_clip(clip.name, clip.pretrained, SIZE)
    with torch.no_grad():
        loud.model.visual.attnpool.c_proj.weight.mul_(1e6)
    fails(make, clip=loud, match=r"the global features of in/0\.jpg are beyond fp16")
    assert not list(tmp_path.iterdir())


@pytest.mark.gpu
def test_a_gpu_agrees_with_the_cpu(make, clip):
    slow = FeatureCache([make("cpu.h5")])
    fast = FeatureCache([make("gpu.h5", device="cuda")])
    clip.model.cpu()
    for read in ("read_maps", "read_globals"):
        ours, theirs = (getattr(c, read)().astype(np.float32) for c in (fast, slow))
        assert np.abs(ours - theirs).max() < 0.02 * np.abs(theirs).max()


def run_features(folder, output, *extra) -> int:
    return __main__.main(
        [
            "features",
            *("--model", f"{folder}/tiny.json"),
            *("--pretrained", f"{folder}/tiny.safetensors"),
            *("--image-size", str(SIZE)),
            *("--index", f"{folder}/index.h5"),
            *("--images", f"{folder}/images.zip"),
            *("--device", "cpu"),
            *("--output", str(output)),
            *extra,
        ]
    )


def test_the_command_writes_a_shard(folder, tmp_path, capsys):
    output = tmp_path / "deep" / "1.h5"
    extra = "--mean 0.5 0.5 0.5 --std clip --views full,flip --shard 1 --shards 2"
    assert run_features(folder, output, *extra.split(), "--batch-size", "2") == 0
    assert "100%" in capsys.readouterr().err
    with h5py.File(output) as file:
        assert file["map"].shape == (4, 2, 4, 256)
        assert file.attrs["mean"].tolist() == [0.5, 0.5, 0.5]
        assert file.attrs["std"].tolist() == list(CLIP_STD)
        assert (file.attrs["start"], file.attrs["stop"]) == (3, 7)


def test_pictures_are_turned_where_it_is_asked_for(make, pictures, tmp_path):
    """Sideways pictures give the features of upright ones, and the file says so."""
    exif = Image.Exif()
    exif[274] = 6
    with (
        zipfile.ZipFile(tmp_path / "upright.zip", "w") as upright,
        zipfile.ZipFile(tmp_path / "sideways.zip", "w") as sideways,
    ):
        for name, data in pictures.items():
            image = Image.open(io.BytesIO(data)).convert("RGB")
            for archive, shown in (
                (upright, image),
                (sideways, image.transpose(Image.Transpose.ROTATE_90)),
            ):
                file = io.BytesIO()
                shown.save(file, "PNG", exif=exif)
                archive.writestr(name, file.getvalue())
    plain = make("plain.h5", archive=tmp_path / "upright.zip")
    turned = make("turned.h5", archive=tmp_path / "sideways.zip", exif_rotation=True)
    with h5py.File(plain) as one, h5py.File(turned) as other:
        assert np.array_equal(one["map"], other["map"])
        assert one.attrs["interpolation"] == "bicubic"
        assert other.attrs["interpolation"] == "bicubic, after the rotation of EXIF"


@pytest.mark.parametrize(
    ("extra", "match"),
    [
        ("--views full,zoom", "'zoom' is not a view"),
        ("--mean red", "--mean: red is not allowed; give clip or three numbers"),
        ("--mean 0.5 0.5", "mean: 0.5 0.5 is not allowed"),
        ("--image-size 16", "--image-size: 16 is not allowed; give at least 32"),
        ("--batch-size 0", "--batch-size: 0 is not allowed"),
        ("--shard 2 --shards 2", "shard 2: there are 2, counted from 0"),
        ("--pretrained gone.pt", "gone.pt: there is no checkpoint"),
        ("--index gone.h5", "gone.h5: is not there"),
    ],
)
def test_the_command_reports_mistakes_in_one_line(
    folder, tmp_path, capsys, extra, match
):
    assert run_features(folder, tmp_path / "0.h5", *extra.split()) == 1
    error = capsys.readouterr().err
    assert error.startswith("mlrpl features: error: ") and error.count("\n") == 1
    assert re.search(re.escape(match), error)
    assert not list(tmp_path.iterdir())
