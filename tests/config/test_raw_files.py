"""Archives, vectors and the encoder's files: where they lie, and what is fetched."""

import pytest

from mlrpl.config import raw_files
from mlrpl.config import validation as configuration
from support.configs import merged


def test_sources_follow_root_and_data_dir(paper):
    valid = configuration.validate(merged(paper, {"data_dir": "elsewhere"}))
    archive = "VOCtest_06-Nov-2007.tar"
    assert raw_files.source(valid, "voc2007", archive) == f"elsewhere/voc2007/{archive}"
    assert raw_files.glove_source(valid) == "elsewhere/glove/glove.840B.300d.zip"
    assert set(raw_files.downloads(valid)) == {
        "coco2014/train2014.zip",
        "coco2014/val2014.zip",
        "coco2014/annotations_trainval2014.zip",
        "voc2007/VOCtrainval_06-Nov-2007.tar",
        f"voc2007/{archive}",
        "glove/glove.840B.300d.zip",
    }
    on_disk = {"datasets": {"voc2007": {"root": "/data/voc"}}, "glove": {"root": "g"}}
    valid = configuration.validate(merged(paper, on_disk))
    assert raw_files.split_source(valid, "voc2007", "test", "images") == (
        f"/data/voc/{archive}"
    )
    assert raw_files.glove_source(valid) == "g/glove.840B.300d.zip"
    assert all(path.startswith("coco2014/") for path in raw_files.downloads(valid))


def test_every_download_has_addresses_a_hash_and_a_size(paper):
    for path, file in raw_files.downloads(configuration.validate(paper)).items():
        assert file["url"] and file["size"] > 0, path
        assert len({"sha256", "md5"} & set(file)) == 1, path


def test_encoder_files(paper):
    valid = configuration.validate(paper)
    assert raw_files.encoder_files(valid) == []
    own = {"encoder": {"model": "m/model.json", "pretrained": "m/weights.safetensors"}}
    valid = configuration.validate(merged(paper, own))
    assert raw_files.encoder_files(valid) == ["m/model.json", "m/weights.safetensors"]


@pytest.mark.parametrize(
    ("encoder", "expected"),
    [
        ({}, ["data/clip/RN101-quickgelu_openai"]),
        ({"model": "ViT-B-16", "pretrained": "laion2b_s34b_b88k"}, None),
        ({"pretrained": "my.pt"}, []),
        ({"pretrained": "/there/weights"}, []),
        ({"model": "m/model.json", "pretrained": "weights"}, []),
    ],
)
def test_weights_are_fetched_for_a_tag_alone(paper, encoder, expected):
    valid = configuration.validate(merged(paper, {"encoder": encoder}))
    if expected is None:
        expected = ["data/clip/ViT-B-16_laion2b_s34b_b88k"]
    assert raw_files.fetched_weights(valid) == expected
