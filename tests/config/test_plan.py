"""The plan that is made of a configuration: runs, files and specs."""

import pytest

from mlrpl.config import plan
from mlrpl.config import validation as configuration
from mlrpl.errors import UserError
from support.configs import MINE, merged


def test_runs_are_canonical_and_come_once(paper):
    valid = configuration.validate(paper)
    methods = ["sarl", "sarl+gamma_pos=1", "sarl+optimizer=adamw+loss=p_bce"]
    assert plan.runs(valid, "voc2007", methods, [0.5, 1], 0) == [
        "voc2007/sarl/prop=0.5/seed=0",
        "voc2007/sarl/prop=1.0/seed=0",
        "voc2007/sarl+loss=p_bce+optimizer=adamw/prop=0.5/seed=0",
        "voc2007/sarl+loss=p_bce+optimizer=adamw/prop=1.0/seed=0",
    ]
    everything = plan.runs(valid)
    assert len(everything) == 2 * 4 * 9 * 3
    with pytest.raises(UserError, match="unknown option gama"):
        plan.runs(valid, method="sarl+gama=1")


def test_sources_follow_root_and_data_dir(paper):
    valid = configuration.validate(merged(paper, {"data_dir": "elsewhere"}))
    archive = "VOCtest_06-Nov-2007.tar"
    assert plan.source(valid, "voc2007", archive) == f"elsewhere/voc2007/{archive}"
    assert plan.glove_source(valid) == "elsewhere/glove/glove.840B.300d.zip"
    assert set(plan.downloads(valid)) == {
        "coco2014/train2014.zip",
        "coco2014/val2014.zip",
        "coco2014/annotations_trainval2014.zip",
        "voc2007/VOCtrainval_06-Nov-2007.tar",
        f"voc2007/{archive}",
        "glove/glove.840B.300d.zip",
    }
    on_disk = {"datasets": {"voc2007": {"root": "/data/voc"}}, "glove": {"root": "g"}}
    valid = configuration.validate(merged(paper, on_disk))
    assert plan.split_source(valid, "voc2007", "test", "images") == (
        f"/data/voc/{archive}"
    )
    assert plan.glove_source(valid) == "g/glove.840B.300d.zip"
    assert all(path.startswith("coco2014/") for path in plan.downloads(valid))


def test_every_download_has_addresses_a_hash_and_a_size(paper):
    for path, file in plan.downloads(configuration.validate(paper)).items():
        assert file["url"] and file["size"] > 0, path
        assert len({"sha256", "md5"} & set(file)) == 1, path


def test_flags_are_quoted_and_sorted():
    values = {
        "member": "a b",
        "keep": None,
        "allow_empty_classes": True,
        "other": False,
        "classes": ["x", "y z"],
        "words": {"tvmonitor": "tv monitor", "diningtable": "dining table"},
        "size": 0,
    }
    assert plan.flags(values) == (
        "--member 'a b' --allow-empty-classes --classes x 'y z' "
        "--words 'diningtable=dining table' 'tvmonitor=tv monitor' --size 0"
    )


def test_encoder_files(paper):
    valid = configuration.validate(paper)
    assert plan.encoder_files(valid) == []
    own = {"encoder": {"model": "m/model.json", "pretrained": "m/weights.safetensors"}}
    valid = configuration.validate(merged(paper, own))
    assert plan.encoder_files(valid) == ["m/model.json", "m/weights.safetensors"]


def test_spec_of_a_table(paper):
    valid = configuration.validate(merged(paper, {"datasets": {"mine": MINE}}))
    titles = {"sarl+pooled=raw": "raw"}
    contents = {"title": "T", "layout": "proportions", "titles": titles}
    spec = plan.spec(
        valid, contents, method=["sarl+gamma_pos=1", "sarl+pooled=raw"], prop=0.5
    )
    assert spec["title"] == "T" and spec["layout"] == "proportions"
    assert "titles" not in spec
    assert spec["methods"] == [
        {"name": "sarl", "title": "Ours+gamma_pos=1"},
        {"name": "sarl+pooled=raw", "title": "raw"},
    ]
    assert spec["proportions"] == [0.5] and spec["seeds"] == [0, 1, 2]
    assert [d["name"] for d in spec["datasets"]] == ["coco2014", "voc2007", "mine"]


def test_spec_of_a_figure_puts_methods_into_the_panels_of_their_option(paper):
    valid = configuration.validate(paper)
    experiment = plan.experiment(valid, "figure8")
    contents = {"kind": "curve", "panels": [{"x": "gamma_pos"}, {"x": "gamma_neg"}]}
    spec = plan.spec(valid, contents, **experiment)
    positive, negative = (panel["methods"] for panel in spec["panels"])
    assert [m["x"] for m in positive] == [m["x"] for m in negative] == [0, 1, 2, 3, 4]
    assert [m["name"] for m in positive] == [
        "sarl+gamma_pos=0",
        "sarl",
        "sarl+gamma_pos=2",
        "sarl+gamma_pos=3",
        "sarl+gamma_pos=4",
    ]
    assert negative[2] == {
        "name": "sarl",
        "title": "Ours+gamma_neg=2",
        "published": ["Ours+gamma_neg=2", "Ours"],
        "x": 2,
    }
