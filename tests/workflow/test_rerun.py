"""What Snakemake runs again after a change, and what it does not."""

import os
import time

import pytest

from support.small_workflow import SMALL
from support.workflow_tree import job_counts, jobs, methods_trained, snakemake

pytestmark = pytest.mark.workflow


def test_finished_has_nothing_to_do(finished):
    assert job_counts(finished.plan()) == {}


def test_touching_every_file_runs_nothing(finished):
    now = time.time()
    for path in finished.folder.rglob("*"):
        if path.is_file() and ".snakemake" not in path.parts:
            os.utime(path, (now, now))
            now += 1e-5  # each newer than the last, in no order of the workflow
    assert job_counts(finished.plan()) == {}


def test_editing_a_methods_option_trains_that_method_alone(changed):
    changed.overlay({"methods": {"coop_csp": {"lr": 0.5}}})
    output = changed.plan()
    assert methods_trained(output) == {"coop_csp"}
    assert job_counts(output) == {
        "train": 2,  # two data sets at one proportion
        "evaluate": 2,
        "collect": 1,
        "table4": 1,
        **{"curves": 1, "classes": 1, "overview": 1},
        "all": 1,
    }


def test_editing_a_common_option_trains_all_but_those_that_set_it(changed):
    changed.overlay({"options": {"gamma_neg": 3}})
    trained = methods_trained(changed.plan())
    # sarl+gamma_neg=3 is sarl now, and sarl+gamma_neg=2 is a run of its own.
    assert {"sarl", "coop", "sarl+gamma_neg=2"} <= trained
    assert "sarl+gamma_neg=3" not in trained


def test_editing_a_module_trains_the_methods_that_use_it(changed):
    changed.edit("workflow/mlrpl/methods/losses/p_bce.py")
    # HST's margins learn from partial BCE, whatever the loss of the scores is.
    users = {"sarl+loss=p_bce", "sarl+margin_start=0.75+transfer=hst"}
    assert methods_trained(changed.plan()) == users
    changed.edit("workflow/mlrpl/methods/visual/global_feature.py")
    trained = methods_trained(changed.plan())
    assert trained == {*users, "coop", "coop_csp"}


def test_a_comment_or_a_docstring_runs_nothing(changed):
    for module in ("training/loop", "methods/losses/p_asl", "encoder/features"):
        path = f"workflow/mlrpl/{module}.py"
        changed.edit(path, "# a comment")
        text = (changed.folder / path).read_text()
        other = text.replace('"""', '"""Said in other words: ', 1)
        (changed.folder / path).write_text(other)
    assert job_counts(changed.plan()) == {}


def test_a_new_part_with_an_option_of_its_own_trains_nothing(changed):
    schema = "workflow/schemas/options.schema.yaml"
    text = (changed.folder / schema).read_text()
    line = "      p_bce: methods.losses.p_bce:PartialBCE\n"
    mine = line + "      mine: methods.losses.mine:Mine\n"
    changed.write(schema, text.replace(line, mine))
    option = "  my_weight:\n    when: {loss: [mine]}\n    type: number\n    default: 1"
    changed.edit(schema, option)
    assert job_counts(changed.plan()) == {}


def test_editing_the_metrics_trains_nothing(changed):
    changed.edit("workflow/mlrpl/evaluation/metrics.py")
    counts = job_counts(changed.plan())
    assert counts["evaluate"] > 10 and "train" not in counts


def test_editing_the_tables_trains_nothing(changed):
    changed.edit("workflow/mlrpl/reporting/tables.py")
    assert job_counts(changed.plan()) == {
        **{"table2": 1, "table4": 1, "ablation_pooled": 1, "ablation_transfer": 1},
        **{"overview": 1, "all": 1},
    }


def test_what_makes_no_number_runs_nothing(changed):
    mine = {**SMALL["datasets"]["mine"], "words": {"a": "ay", "b": "bee"}}
    changed.overlay(
        {
            "device": "cuda",
            "threads": {"train": 2, "features": 2},
            "encoder": {**SMALL["encoder"], "batch_size": 8},
            # the same in another order
            "datasets": {**SMALL["datasets"], "mine": dict(reversed(mine.items()))},
        }
    )
    changed.edit("workflow/mlrpl/commands/train.py")
    changed.edit("workflow/mlrpl/runtime/storage.py")
    changed.write("workflow/mlrpl/methods/losses/mine.py", "LOSS = 1\n")
    assert job_counts(changed.plan()) == {}
    (changed.folder / "workflow/mlrpl/methods/losses/mine.py").unlink()


def test_another_data_set_leaves_the_others_alone(changed):
    third = {**SMALL["datasets"]["mine"], "root": "third"}
    for name in ("i.zip", "l.csv"):
        changed.write(f"third/{name}", name)
    changed.overlay({"datasets": {**SMALL["datasets"], "third": third}})
    output = changed.plan()
    for rule in ("index_csv", "drop", "glove", "encoder", "features", "train"):
        planned = jobs(output, rule)
        assert planned, rule
        assert all("dataset=third" in job["wildcards"] for job in planned), rule
    assert "index_voc" not in job_counts(output)


def test_another_encoder_makes_features_again_and_no_masks(changed):
    changed.overlay({"encoder": {**SMALL["encoder"], "image_size": 224}})
    counts = job_counts(changed.plan())
    assert counts["features"] == 2 + 1 + 2 + 2 and counts["encoder"] == 2
    assert not {"index_voc", "index_csv", "drop", "glove"} & set(counts)


def test_turning_pictures_makes_features_again(changed):
    changed.overlay({"encoder": {**SMALL["encoder"], "exif_rotation": False}})
    assert job_counts(changed.plan()) == {}
    changed.overlay({"encoder": {**SMALL["encoder"], "exif_rotation": True}})
    plan = changed.plan("-p")
    counts = job_counts(plan)
    assert counts["features"] == 2 + 1 + 2 + 2 and "encoder" not in counts
    assert "--std clip --exif-rotation" in plan


def test_other_labels_and_other_weights_are_noticed(changed):
    changed.write("mine/l.csv", "other labels")
    changed.write("own/weights.pt", "other weights")
    counts = job_counts(changed.plan())
    changed.write("mine/l.csv", "mine/l.csv")
    changed.write("own/weights.pt", "own/weights.pt")
    assert counts["index_csv"] == 2 and "index_voc" not in counts
    assert counts["features"] == 2 + 1 + 2 + 2 and counts["encoder"] == 2


def test_a_mirror_is_no_reason_to_download_again(changed):
    archive = changed.folder / "data/glove/v.txt"
    file = {"url": ["http://example.org/v.txt"], "sha256": "0" * 64}
    glove = {"root": None, "file": "v.txt", "member": None, **file}
    changed.overlay({"glove": glove})
    target = "data/glove/v.txt"
    done = snakemake(changed.folder, target, *changed.arguments("--cores", "1"))
    assert done.returncode == 0, done.stdout
    assert "--url http://example.org/v.txt --sha256 000" in archive.read_text()
    changed.overlay({"glove": {**glove, "url": ["http://example.com/v.txt"]}})
    assert job_counts(changed.plan(target)) == {}
    changed.overlay({"glove": {**glove, "sha256": "1" * 64}})
    assert job_counts(changed.plan(target)) == {"download": 1}
