"""The whole workflow on a slice of real photographs, with a real image-text model.

The slice is somebody's own data set: a CSV, of which 30 % of the cells are empty.
"""

import csv
import json
import random
import shutil

import numpy as np
import pytest
import yaml

from mlrpl.data.index import Index
from mlrpl.training.feature_cache import FeatureCache
from support.workflow_tree import copy_tree, snakemake

TRAIN, TEST = 160, 120
EMPTY = 0.3
METHODS = ["coop", "coop_csp", "coop_sd", "sarl", "sarl+projection=clip"]
ZERO_SHOT = "coop+epochs=0+n_ctx=0+period=false"


@pytest.fixture(scope="module")
def run(repository, photos, tmp_path_factory):
    """Run the photographs' config on a slice; return the folder."""
    source = photos / "coco18"
    folder = copy_tree(repository, tmp_path_factory.mktemp("photos") / "tree")
    data = folder / "slice/coco18"
    data.mkdir(parents=True)
    for name in ("images.zip", "glove.txt", "clip"):
        (data / name).symlink_to(source / name)
    with (source / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    chosen = []
    for split, count in (("train", TRAIN), ("test", TEST)):
        of_split = [row for row in rows if row["split"] == split]
        chosen += random.Random(0).sample(of_split, count)
    classes = [name for name in rows[0] if name not in ("image", "split")]
    emptied = random.Random(1)
    for row in chosen:
        row |= {name: "" for name in classes if emptied.random() < EMPTY}
    with (data / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(chosen)
    over = yaml.safe_load((repository / "tests/photos/config.yaml").read_text())
    text = json.dumps(over).replace("$MLRPL_PHOTOS", str(folder / "slice"))
    over = json.loads(text)
    over["device"] = "cpu"
    over["threads"]["features"] = 1
    over["datasets"]["coco18"]["splits"]["train"]["shards"] = 2
    over["options"] |= {"epochs": 4, "joint_dim": 64}
    experiment = {"methods": METHODS, "proportions": [0.9], "seeds": [0]}
    off = ("table3", "figure3", "figure5", "figure6", "figure9")
    over["experiments"] |= dict.fromkeys(off)
    over["experiments"]["table4"] = experiment | {"methods": [*METHODS, ZERO_SHOT]}
    (folder / "slice.yaml").write_text(yaml.safe_dump(over))
    # The base config's proportions stand in the ablation; it is not part of this.
    shutil.rmtree(folder / "workflow/ablations")
    done = snakemake(
        folder, "tables", "metrics", "--cores", "2", "--configfile", "slice.yaml"
    )
    assert done.returncode == 0, done.stdout
    return folder


def rows_of(folder):
    with (folder / "results/photos/tables/metrics.csv").open() as file:
        return {
            (row["method"], row["epoch"]): float(row["mAP"])
            for row in csv.DictReader(file)
        }


def test_every_method_has_its_numbers(run):
    rows = rows_of(run)
    assert {method for method, _ in rows} == {*METHODS, ZERO_SHOT}
    assert all(rows[m, "best"] >= rows[m, "last"] for m in METHODS)
    table = (run / "results/photos/tables/table4.md").read_text()
    assert "COCO-18 photographs" in table


def test_the_model_knows_the_photographs(run):
    """Chance is about 9; 44.1 on all 2,000 test photographs without any training."""
    rows = rows_of(run)
    assert rows[ZERO_SHOT, "last"] > 25
    assert rows["sarl+projection=clip", "last"] > 15


def test_cells_that_are_empty_stay_unknown(run):
    data = run / "results/photos/data/coco18"
    with (run / "slice/coco18/labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    classes = [name for name in rows[0] if name not in ("image", "split")]
    value = {"1": 1, "0": -1, "": 0}
    for split, count in (("train", TRAIN), ("test", TEST)):
        cells = [row for row in rows if row["split"] == split]
        expected = np.array([[value[row[c]] for c in classes] for row in cells])
        labels = Index.load(data / f"{split}.h5").labels
        np.testing.assert_array_equal(labels, expected)
        assert labels.shape == (count, len(classes))
        assert 0.25 < (labels == 0).mean() < 0.35
    labels = Index.load(data / "train.h5").labels
    known = np.load(data / "known/prop=0.9/seed=0.npy")
    kept = np.random.RandomState(0).random_sample(labels.shape) < 0.9
    np.testing.assert_array_equal(known, np.where(kept, labels, 0))
    folder = run / "results/photos/runs/coco18/sarl/prop=0.9/seed=0"
    counts = json.loads((folder / "run.json").read_text())["known"]
    assert counts["unknown"] == (known == 0).sum() > 0.3 * known.size


def test_features_say_where_they_come_from(run):
    shards = sorted((run / "results/photos/features/coco18/train").glob("*.h5"))
    cache = FeatureCache(shards)
    assert len(shards) == 2
    assert len(cache) == TRAIN
    assert cache.grid == (7, 7)
    assert cache.read_maps().shape == (TRAIN, 49, 1280)
