"""Reading shards back: only what belongs together and is whole."""

import subprocess
import sys

import h5py
import numpy as np
import pytest

from mlrpl.data.index import Index
from mlrpl.encoder.clip import load_clip
from mlrpl.errors import UserError
from mlrpl.text.clip_text import ClipText
from mlrpl.text.export import export_clip
from mlrpl.training.feature_cache import FeatureCache
from support import tiny, tiny_clip
from support.data_files import fails
from support.pictures import COUNT, SIZE

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def halves(make):
    return [make(f"{k}.h5", shard=k, shards=2) for k in (0, 1)]


def test_shards_that_do_not_make_up_a_split_are_refused(halves, make, tmp_path):
    first, second = halves
    fails(FeatureCache, [], match="no file is given")
    fails(FeatureCache, [first], match="of 7 images of the split, those from 3 on")
    fails(FeatureCache, [second], match="of 7 images of the split, those from 0 on")
    fails(FeatureCache, [first, second, second], match="images 3 to 7 are there twice")
    whole = make("whole.h5")
    fails(FeatureCache, [first, whole], match="are there twice")
    gone = tmp_path / "gone.h5"
    fails(FeatureCache, [first, gone], match=r"gone\.h5: is not there; make it")
    third = make("2.h5", shard=2, shards=3)
    fails(FeatureCache, [first, third], match="of 7 images .* from 3 on are missing")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dataset", "other"),
        ("split", "test"),
        ("encoder", "RN50"),
        ("weights_sha256", "0" * 64),
        ("image_size", 224),
        ("mean", [0.5, 0.5, 0.5]),
        ("views", '["flip"]'),
        ("images_sha256", "0" * 64),
        ("images_total", 8),
    ],
)
def test_shards_that_differ_are_refused(halves, name, value):
    with h5py.File(halves[1], "a") as file:
        file.attrs[name] = value
    fails(FeatureCache, halves, match=rf"1\.h5: its {name} is .*0\.h5")


def test_damaged_feature_files_are_refused(halves, tmp_path):
    content = halves[1].read_bytes()
    for part in (content[: len(content) // 2], b"", b"text"):
        halves[1].write_bytes(part)
        fails(FeatureCache, halves, match=r"1\.h5: is not a whole feature file \(")
    halves[1].write_bytes(content)
    with h5py.File(halves[1], "a") as file:
        del file.attrs["views"]
    fails(FeatureCache, halves, match=r"not a whole feature file \(.*views")
    halves[1].write_bytes(content)
    with h5py.File(halves[1], "a") as file:
        del file["map"]
        file["map"] = np.zeros((4, 1, 4, 256), np.float32)
    fails(FeatureCache, halves, match="has no fp16 map")
    with h5py.File(halves[1], "a") as file:
        del file["map"]
        file["map"] = np.zeros((3, 1, 4, 256), np.float16)
    fails(FeatureCache, halves, match="do not have the shapes")


def test_features_of_another_encoder_or_other_images_are_refused(
    halves, make, clip, index, folder, tmp_path
):
    path = tmp_path / "clip.safetensors"
    export_clip(clip, index.classes, {}, path)
    cache = FeatureCache(halves)
    cache.check(index, ClipText(path).metadata)
    other_paths = tiny_clip.write(folder, tiny_clip.RESNET, "other", seed=1)[:2]
    other = load_clip(*other_paths, SIZE)
    export_clip(other, index.classes, {}, path)
    fails(
        cache.check,
        index,
        ClipText(path).metadata,
        match=r"are of another encoder, \S+tiny\.json .* than .*other\.json .*; remake",
    )
    mixed = [halves[0], make("1.h5", clip=other, shard=1, shards=2)]
    fails(FeatureCache, mixed, match="its encoder is")
    turned = Index("tiny", "train", index.classes, index.images[::-1], index.labels)
    fails(
        cache.check,
        turned,
        ClipText(path).metadata,
        match="not of the images of tiny train, or not in their order; remake",
    )


def test_reading_features_needs_neither_torch_nor_open_clip(halves, repository):
    code = (
        "import sys; from mlrpl.training.feature_cache import FeatureCache;"
        f"print(FeatureCache({[str(p) for p in halves]}).read_maps().shape);"
        "print({'torch', 'open_clip'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=repository / "workflow",
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == [f"({COUNT}, 4, 256)", "set()"], done.stderr


def test_a_cache_made_before_there_was_a_maximum_still_serves_the_others(tmp_path):
    files = tiny.write_files(tmp_path)
    with h5py.File(files.train_features[1], "a") as file:
        del file["max"]
    cache = FeatureCache(files.train_features)
    assert cache.read_maps().shape[1:] == (tiny.GRID**2, tiny.CHANNELS)
    with pytest.raises(UserError) as caught:
        cache.read("max")
    said = str(caught.value)
    assert files.train_features[1] in said and "\n" not in said
    assert "has no max features, which the method reads; remake it" in said
