"""The example of an own data set, as it stands: the real jobs."""

import csv
import json
import shutil

import numpy as np
import pytest
import yaml

from mlrpl.data.index import Index
from support.workflow_tree import copy_tree, snakemake

pytestmark = pytest.mark.workflow
CONFIG = "examples/own_data/config.yaml"


@pytest.fixture(scope="module")
def example(repository, tmp_path_factory):
    folder = copy_tree(repository, tmp_path_factory.mktemp("own") / "tree")
    shutil.copytree(repository / "examples", folder / "examples")
    before = contents(folder / "examples")
    done = snakemake(folder, "tables", "--cores", "2", "--configfile", CONFIG)
    assert done.returncode == 0, done.stdout[-4000:]
    assert contents(folder / "examples") == before
    return folder


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_labels_are_the_tables(example):
    with (example / "examples/own_data/labels.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "train"]
    index = Index.load(example / "results/own_data/data/mine/train.h5")
    assert index.classes == ("house", "tree", "heart", "red fish", "blue cup")
    value = {"1": 1, "0": -1, "": 0}
    expected = [[value[row[name]] for name in index.classes] for row in rows]
    np.testing.assert_array_equal(index.labels, expected)


def test_all_labels_that_there_are_were_trained_on(example):
    folder = example / "results/own_data/runs/mine/sarl/prop=1.0/seed=0"
    run = json.loads((folder / "run.json").read_text())
    labels = Index.load(example / "results/own_data/data/mine/train.h5").labels
    counts = {"positive": 1, "negative": -1, "unknown": 0}
    assert run["known"] == {
        name: int((labels == value).sum()) for name, value in counts.items()
    }


def test_class_vectors_are_clips(example):
    vectors = np.load(example / "results/own_data/data/mine/glove.npy")
    model = yaml.safe_load((example / CONFIG).read_text())["encoder"]["model"]
    width = json.loads((example / model).read_text())["embed_dim"]
    assert vectors.shape == (5, width)


def test_the_table_is_of_what_was_asked(example):
    text = (example / "results/own_data/tables/table2.md").read_text()
    assert "mAP at 100 % known labels" in text
    assert "My pictures: of all cells 69 % at 100 % are known" in text
    assert "| My pictures | this run, 1 seed |" in text
    assert not list((example / "results/own_data").glob("tables/table3*"))
