"""The example of an own data set, as it stands: the real jobs."""

import csv
import json
import os
import re
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
    (folder / "said.txt").write_text(done.stdout)
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


def test_numbers_and_places_are_said_last(example):
    *_, method, over, empty, places = (example / "said.txt").read_text().splitlines()
    table = (example / "results/own_data/tables/table2.md").read_text()
    [mean] = re.findall(r"SARL \| ([\d.]+) \|", table)
    assert method.split() == ["SARL", mean] and not empty
    assert over.endswith("(My pictures: 100 %).")
    assert places == "Tables     results/own_data/tables/  table2.md"


@pytest.fixture
def bucket(monkeypatch):
    """An empty bucket of a local server of object storage, and Snakemake's options."""
    boto3, moto = map(pytest.importorskip, ("boto3", "moto.server"))
    pytest.importorskip("snakemake_storage_plugin_s3")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        url = "http://{}:{}".format(*server.get_host_and_port())
        client = boto3.client("s3", endpoint_url=url, region_name="us-east-1")
        client.create_bucket(Bucket="lab")
        options = ["--default-storage-provider", "s3", "--default-storage-prefix"]
        options += ["s3://lab", "--storage-s3-endpoint-url", url]
        options += ["--storage-s3-access-key", "a", "--storage-s3-secret-key", "b"]
        yield client, [*options, "--storage-s3-region", "us-east-1"]
    finally:
        server.stop()


def test_results_in_a_bucket_are_the_same_bytes(example, repository, tmp_path, bucket):
    """Pictures, labels and the encoder's files are read where they lie."""
    client, options = bucket
    folder = copy_tree(repository, tmp_path / "tree")
    (folder / "examples").symlink_to(repository / "examples")
    arguments = ("tables", "--cores", "2", *options, "--configfile", CONFIG)
    done = snakemake(folder, *arguments)
    assert done.returncode == 0, done.stdout[-4000:]
    assert not (folder / "results").exists() and not (folder / "logs").exists()
    stored = {
        entry["Key"]: client.get_object(Bucket="lab", Key=entry["Key"])["Body"].read()
        for entry in client.list_objects_v2(Bucket="lab")["Contents"]
    }
    # Nothing of the project's own or the user's is there.
    assert {key.partition("/")[0] for key in stored} == {"results", "logs"}
    results = {key for key in stored if key.startswith("results/")}
    made = contents(example / "results")
    assert results == {path.relative_to(example).as_posix() for path in made}
    other = {key for key in results if stored[key] != made[example / key]}
    assert {key.rpartition("/")[2] for key in other} == {"run.json"}  # its times


def test_a_failed_job_is_said_last(example):
    vectors = example / "results/own_data/data/mine/glove.npy"
    whole = vectors.read_bytes()
    vectors.write_bytes(whole[:50])
    target = "results/own_data/runs/mine/coop_sd/prop=1.0/seed=0/metrics.json"
    arguments = ("--cores", "2", "--rerun-triggers", "mtime", "--configfile", CONFIG)
    done = snakemake(example, target, *arguments)
    vectors.write_bytes(whole)
    assert done.returncode == 1
    rule, log, error = done.stdout.splitlines()[-3:]
    wildcards = "dataset=mine, method=coop_sd, prop=1.0, seed=0"
    assert rule == f"Failed: rule train ({wildcards})"
    path = "logs/own_data/runs/mine/coop_sd/prop=1.0/seed=0/train.log"
    assert log.strip() == f"log: {path}"
    assert error.strip().startswith(
        f"mlrpl train: error: {vectors.relative_to(example)}"
    )
    assert (example / path).read_text().strip().endswith(error.strip())
