"""A data set with the images of another one: its jobs read that one's files."""

import pytest

from support.small_workflow import SMALL, Finished
from support.workflow_tree import job_counts, jobs


@pytest.fixture(scope="module")
def planned(repository, tmp_path_factory):
    folder = tmp_path_factory.mktemp("masks") / "small"
    small = Finished(repository, folder, run=False)
    one = {"same_images_as": "mine", "masks": "single_positive"}
    off = dict.fromkeys([*SMALL["experiments"], "figure7"])
    both = {"methods": ["sarl"], "datasets": ["mine", "one"]}
    table2 = {**both, "proportions": [1.0], "seeds": [0], "systems": None}
    small.overlay(
        {
            "datasets": {**SMALL["datasets"], "one": one},
            "experiments": {**off, "table2": table2},
        }
    )
    return small.plan("results/tables/table2.csv")


def test_only_labels_and_trainings_are_its_own(planned):
    counts = job_counts(planned)
    assert {rule: counts[rule] for rule in ("features", "drop", "train")} == {
        **{"features": 3, "drop": 2, "train": 2}
    }
    assert (counts["index_csv"], counts["glove"], counts["encoder"]) == (2, 1, 1)


def test_a_training_reads_the_others_features_and_its_own_labels(planned):
    (job,) = [j for j in jobs(planned, "train") if "dataset=one" in j["wildcards"]]
    read = job["input"].split(", ")
    known = "results/data/one/known/prop=1.0/seed=0.npy"
    assert known in read
    others = [path for path in read if path != known]
    assert len(others) == 6 and not any("/one" in path for path in others)
