"""What the jobs of a configuration read, by their wildcards."""

import re
from types import SimpleNamespace

import pytest

from mlrpl.config import dependencies, plan
from mlrpl.errors import UserError
from mlrpl.planning.inputs import Inputs
from mlrpl.planning.places import Places
from mlrpl.planning.runs import Runs


class Wildcards(SimpleNamespace):
    def get(self, name):
        return getattr(self, name, None)


def of(**values):
    return Wildcards(**values)


def stored(config):
    """Places of a run with a storage; what is not in it begins with `here:`."""
    return Places(config, "here:{}".format)


@pytest.fixture
def inputs(config):
    return Inputs(config)


def test_data_sets_of_a_format(inputs):
    assert re.fullmatch(inputs.of_format("coco"), "coco2014")
    assert not re.fullmatch(inputs.of_format("coco"), "voc2007")
    assert not re.fullmatch(inputs.of_format("csv"), "coco2014")


def test_files_of_a_split(inputs):
    test = of(dataset="coco2014", split="test")
    assert inputs.split_file("images")(test) == "data/coco2014/val2014.zip"
    assert inputs.split_file("images", "train")(test) == "data/coco2014/train2014.zip"


def test_one_with_the_images_of_another_reads_its_files(config):
    config["datasets"]["single"] = {
        **config["datasets"]["voc2007"],
        "same_images_as": "voc2007",
    }
    inputs = Inputs(config)
    index = inputs.of_images("<results>/data/{dataset}/train.h5")
    for name in ("voc2007", "single"):
        assert index(of(dataset=name)) == "<results>/data/voc2007/train.h5"
    found = inputs.shards("train")(of(dataset="single", method="sarl"))
    assert found == ["<results>/features/voc2007/train/shards.json"]


def test_a_training_waits_for_the_list_of_the_shards(config):
    job = of(dataset="voc2007", method="sarl")
    folder = "<results>/features/voc2007/test/"
    assert Inputs(config).shards("test")(job) == [f"{folder}shards.json"]
    # Where files are fetched for a job, it names them all.
    fetched = Inputs(config, stored(config)).shards("test")
    files = [f"{folder}{name}" for name in ("shards.json", "0.h5", "1.h5")]
    assert fetched(job) == files
    tokens = of(dataset="voc2007", method="dualcoop")
    assert fetched(tokens)[0] == f"{folder}tokens/shards.json"
    split = of(dataset="voc2007", split="test", kind="tokens/")
    assert Inputs(config).shards_of_split(split) == fetched(tokens)[1:]


def test_what_is_not_made_stays_out_of_the_storage(config):
    config["datasets"]["voc2007"]["root"] = "/data/voc"
    inputs = Inputs(config, stored(config))
    voc, coco = (of(dataset=d, split="test") for d in ("voc2007", "coco2014"))
    images = inputs.split_file("images")
    assert images(voc) == "here:/data/voc/VOCtest_06-Nov-2007.tar"
    assert images(coco) == "data/coco2014/val2014.zip"
    # The training images that the test split is compared with are an input then.
    beside = ["<results>/data/voc2007/train.h5"]
    beside += ["here:/data/voc/VOCtrainval_06-Nov-2007.tar"]
    assert inputs.train_index(voc) == beside
    said = inputs.train_split(voc, SimpleNamespace(beside=["a.h5", "b.tar"]))
    assert said == "--beside a.h5 --beside-images b.tar"
    runs = {"dataset": "voc2007", "method": "coop", "prop": 0.5, "seed": 0}
    shown = Runs(config, places=stored(config)).shown(["table2"], **runs)
    [printed] = shown["published"]
    assert printed.startswith("here:") and printed.endswith("published/table2.csv")
    run = "<results>/runs/voc2007/coop/prop=0.5/seed=0"
    assert shown["records"] == [f"{run}/run.json"]
    assert Runs(config).shown(["table2"], **runs)["records"] == []


def test_the_test_split_is_compared_with_the_training_split(inputs):
    train, test = (of(dataset="voc2007", split=name) for name in ("train", "test"))
    assert inputs.train_index(train) == []
    assert inputs.train_index(test) == "<results>/data/voc2007/train.h5"
    given = SimpleNamespace(beside="train.h5")
    assert inputs.train_split(train, given) == ""
    assert inputs.train_split(test, given) == (
        "--beside train.h5 --beside-images data/voc2007/VOCtrainval_06-Nov-2007.tar"
    )


def test_arguments_of_a_data_set_and_its_split(config):
    config["datasets"]["voc2007"]["classes"] = ["cat", "traffic light"]
    inputs, job = Inputs(config), of(dataset="voc2007", split="train")
    assert inputs.flags(job, "imageset", "classes") == (
        "--imageset trainval --classes cat 'traffic light'"
    )
    assert inputs.flags(job, "imageset", split="test") == "--imageset test"
    assert inputs.flags(job, "keys_that_are_not_there") == ""


def test_all_maps_of_the_test_images(inputs):
    found = inputs.maps_of_test(of(dataset="coco2014"))
    assert found == [f"<results>/features/coco2014/test/{n}.h5" for n in range(8)]


def test_a_run_by_another_name_or_none_is_refused(inputs):
    assert inputs.method_options("sarl+loss=p_bce")["loss"] == "p_bce"
    with pytest.raises(UserError, match="is the same run as sarl; ask for sarl"):
        inputs.method_options("sarl+gamma_pos=1")
    with pytest.raises(SystemExit, match="unknown method serl; did you mean"):
        inputs.shards("train")(of(dataset="voc2007", method="serl"))


def test_code_of_a_training_is_that_of_its_parts(inputs, config):
    options = plan.method_options(config, "sarl+loss=p_bce")
    wanted = dependencies.code_hash(*dependencies.training_modules(options))
    assert inputs.train_code(of(method="sarl+loss=p_bce")) == wanted
    assert inputs.train_code(of(method="sarl")) != wanted


def test_a_context_that_starts_at_words_has_a_file(inputs):
    assert inputs.context_file(of(method="sarl")) == []
    method = "sarl+context_init=a_photo_of_a"
    found = inputs.context_file(of(method=method))
    assert found == "<results>/clip/context/a_photo_of_a.json"


def test_files_of_a_figures_runs(inputs, config):
    found = inputs.run_files(of(figure="figure3", dataset="voc2007"))
    runs = plan.runs_of(config, "figure3", "voc2007")
    assert found["record"] == [f"<results>/runs/{run}/run.json" for run in runs]
    # A mask is of a proportion and a seed, whatever the method.
    assert len(found["known"]) == len({run.split("/", 2)[2] for run in runs})
    assert found["known"][0].startswith("<results>/data/voc2007/known/prop=")
