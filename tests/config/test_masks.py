"""Data sets with the images of another one and other known labels."""

import pytest

from mlrpl.config import plan, raw_files
from mlrpl.config.validation import validate
from mlrpl.doctor import disk_needs, time_needs
from mlrpl.doctor.work import find_sizes, find_work
from mlrpl.errors import UserError
from support.configs import merged

SINGLE = {"same_images_as": "voc2007", "masks": "single_positive"}
ONE = {"methods": ["sarl"], "datasets": ["voc2007", "one"], "proportions": [1.0]}


def with_single(paper, **experiments):
    over = dict.fromkeys(paper["experiments"])
    changes = {"datasets": {"one": SINGLE}, "experiments": {**over, **experiments}}
    return merged(paper, changes)


def test_it_has_what_the_other_has_but_for_masks_and_printed_numbers(paper):
    config = validate(with_single(paper, table2=ONE))
    one, other = config["datasets"]["one"], config["datasets"]["voc2007"]
    assert (one["masks"], other["masks"]) == ("single_positive", "uniform")
    assert (one["title"], one["published"]) == ("one", None)
    same = one.keys() - {"masks", "title", "published", "same_images_as"}
    assert all(one[key] == other[key] for key in same)
    assert plan.images_of(config, "one") == plan.images_of(config, "voc2007")
    assert not any(path.startswith("one/") for path in raw_files.downloads(config))
    for key in ("images",):
        assert raw_files.split_source(
            config, "one", "train", key
        ) == raw_files.split_source(config, "voc2007", "train", key)


def test_only_experiments_that_name_it_have_it(paper):
    config = validate(with_single(paper, table2=ONE, table4={"methods": ["sarl"]}))
    assert config["experiments"]["table2"]["datasets"] == ["voc2007", "one"]
    assert config["experiments"]["table4"]["datasets"] == ["coco2014", "voc2007"]
    runs = plan.runs(config, method="sarl", prop=0.5, seed=0)
    assert {run.split("/")[0] for run in runs} == {"coco2014", "voc2007"}
    contents = {"title": "All", "layout": "proportions"}
    spec = plan.spec(config, contents, method="sarl")
    names = [entry["name"] for entry in spec["datasets"]]
    assert names == ["coco2014", "voc2007"]


def test_doctor_counts_its_features_once(paper, tmp_path):
    paper = {**paper, "results": str(tmp_path)}
    config = validate(with_single(paper, table2=ONE))
    work = find_work(config, cuda=False)
    assert work.datasets == ["voc2007", "one"]
    both = find_sizes(config, work.datasets)
    alone = validate(with_single(paper, table2={**ONE, "datasets": ["voc2007"]}))
    one = find_work(alone, cuda=False)
    found = [
        {
            need.what: need.bytes
            for need in disk_needs.disk_needs(config, work, both, [])
        }
        for config, work in ((config, work), (alone, one))
    ]
    assert found[0]["features"] == found[1]["features"] > 0
    assert found[0]["runs"] == 2 * found[1]["runs"]
    images = [
        time_needs.time_need(config, work, both, 2, False, 1).images
        for config, work in ((config, work), (alone, one))
    ]
    assert images == [9963, 9963]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"datasets": {"one": {**SINGLE, "root": "/data"}}},
            "datasets.one.root: it is that of voc2007, whose images these are",
        ),
        (
            {"datasets": {"one": {**SINGLE, "same_images_as": "voc"}}},
            "datasets.one.same_images_as: voc is not a data set with images of its own",
        ),
        (
            {"datasets": {"one": {**SINGLE, "masks": "single"}}},
            "datasets.one.masks: single is not allowed; give one of uniform, fixed_per",
        ),
        (
            {"experiments": {"table2": {**ONE, "proportions": [0.5, 1.0]}}},
            "experiments.table2.proportions: the masks of one keep one positive an",
        ),
        (
            {
                "experiments": {
                    "table2": {
                        **ONE,
                        "systems": {"methods": ["sst"], "proportions": [0.1]},
                    }
                }
            },
            "experiments.table2.systems.proportions: the masks of one",
        ),
        (
            {"datasets": {"voc2007": None}},
            "datasets.one.same_images_as: voc2007 is not a data set with images of its "
            "own, or is switched off",
        ),
    ],
)
def test_mistakes_are_one_line(paper, changes, words):
    config = merged(with_single(paper, table2=ONE), changes)
    with pytest.raises(UserError) as caught:
        validate(config)
    assert str(caught.value).startswith(f"config key {words}")
    assert "\n" not in str(caught.value)
