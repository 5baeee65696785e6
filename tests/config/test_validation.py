"""The configuration: defaults, and one line for every mistake."""

import copy
from typing import Any

import jsonschema
import pytest
import yaml

from mlrpl.config import method_strings, options, plan, raw_files
from mlrpl.config import validation as configuration
from mlrpl.demo.world import VOC_WORLD
from mlrpl.errors import UserError
from support.configs import CSV_SPLIT, MINE, Only, merged

# What is wrong, and what the one line says about it.
MISTAKES = {
    "misspelt key": (
        "datasets: {coco2014: {formt: coco}}",
        "config key datasets.coco2014.formt: unknown key; did you mean format?",
    ),
    "unknown key": ("colour: red", "config key colour: unknown key; the keys are"),
    "misspelt option": (
        "options: {gama_pos: 1}",
        "config key options.gama_pos: unknown key; did you mean gamma_pos?",
    ),
    "number that YAML reads as text": (
        "options: {lr: 1e-4}",
        "config key options.lr: '1e-4' is text (write 1.0e-4, without quotes)",
    ),
    "quoted number": (
        "seeds: [0, '1']",
        "config key seeds.1: '1' is text (write 1, without quotes)",
    ),
    "wrong type": ("proportions: 0.1", "config key proportions: 0.1 is not allowed"),
    "fraction of an epoch": ("options: {epochs: 1.5}", "options.epochs: 1.5"),
    "truth for a number": ("options: {epochs: true}", "options.epochs: True"),
    "value out of range": (
        "options: {margin: 1.5}",
        "options.margin: 1.5 is not allowed; give a number from 0",
    ),
    "proportion of nothing": ("proportions: [0]", "config key proportions.0: 0 is"),
    "proportion above one": (
        "experiments: {table4: {proportions: [0.1, 10]}}",
        "config key experiments.table4.proportions.1: 10 is not allowed",
    ),
    "repeated seed": ("seeds: [0, 0]", "config key seeds: [0, 0] lists a value twice"),
    "empty list": ("seeds: []", "config key seeds: empty; give at least one"),
    "bad choice": (
        "device: gpu",
        "config key device: gpu is not allowed; give one of auto, cpu, cuda",
    ),
    "method's option": (
        "methods: {sarl: {visual: sd}}",
        "config key methods.sarl.visual: sd is not allowed; give one of global",
    ),
    "method's name": ("methods: {My-Method: {}}", "config key methods.My-Method: not"),
    "options that exclude each other": (
        "methods: {mine: {pooled: fused, projection: clip}}",
        "method mine: projection: clip needs the raw map",
    ),
    "unknown method": (
        "experiments: {table2: {methods: [sarll]}}",
        "config key experiments.table2.methods: method sarll: unknown method sarll; "
        "did you mean sarl?",
    ),
    "unknown override": (
        "experiments: {table2: {methods: [sarl+gama_neg=1]}}",
        "method sarl+gama_neg=1: unknown option gama_neg; did you mean gamma_neg?",
    ),
    "override of the wrong type": (
        "experiments: {table2: {methods: [sarl+epochs=many]}}",
        "method sarl+epochs=many: epochs: 'many' is not allowed",
    ),
    "systems' proportion": (
        "experiments: {table2: {systems: {proportions: [0]}}}",
        "config key experiments.table2.systems.proportions.0: 0 is",
    ),
    "systems without methods": (
        "experiments: {table4: {systems: {seeds: [0]}}}",
        "config key experiments.table4.systems.methods: missing; add it",
    ),
    "title of an unknown method": ("titles: {moco: MoCo}", "unknown method moco"),
    "unknown data set": (
        "experiments: {figure8: {datasets: [coco]}}",
        "config key experiments.figure8.datasets: unknown data set coco; the data sets "
        "are coco2014, voc2007",
    ),
    "unknown experiment": (
        "experiments: {tabel2: {methods: [sarl]}}",
        "config key experiments.tabel2: unknown key; did you mean table2?",
    ),
    "no data set left": (
        "datasets: {coco2014: null, voc2007: null}",
        "config key datasets: all are switched off; leave one on",
    ),
    "data set's name": ("datasets: {my set: {}}", "config key datasets.my set: not"),
    "missing labels": (
        {"datasets": {"mine": merged(MINE, {"splits": {"test": {"labels": None}}})}},
        "config key datasets.mine.splits.test.labels: null is not allowed",
    ),
    "missing split": (
        {"datasets": {"mine": {**MINE, "splits": {"train": CSV_SPLIT}}}},
        "config key datasets.mine.splits.test: missing; add it",
    ),
    "key that the format needs": (
        {"datasets": {"mine": {**MINE, "format": "voc"}}},
        "config key datasets.mine.splits.train.imageset: missing; format voc needs it",
    ),
    "key of another format": (
        {"datasets": {"mine": {**MINE, "difficult": "ignore"}}},
        "config key datasets.mine.difficult: it applies to format voc only",
    ),
    "split's key of another format": (
        {"datasets": {"mine": merged(MINE, {"splits": {"train": {"member": "a"}}})}},
        "config key datasets.mine.splits.train.member: does not apply to format csv",
    ),
    "file without an address": (
        {"datasets": {"mine": {**MINE, "root": None}}},
        "config key datasets.mine.splits.train.images: images.zip is not among the "
        "files to download",
    ),
    "hash": (
        "glove: {sha256: 123abc}",
        "config key glove.sha256: 123abc is not allowed; give text matching",
    ),
    "vectors from nowhere": (
        {"glove": Only({"file": "vectors.txt"})},
        "config key glove.url: missing; give it, or set glove.root",
    ),
    "address": ("glove: {url: [glove.zip]}", "config key glove.url.0: glove.zip is"),
    "colour": (
        "encoder: {mean: [0.5, 0.5]}",
        "config key encoder.mean: [0.5, 0.5] is not allowed; give clip or a list",
    ),
    "view": (
        "encoder: {views: [full, zoom]}",
        "config key encoder.views.1: zoom is not allowed; give one of full, flip, ",
    ),
    "tested view": (
        "encoder: {views: [flip, full]}",
        "config key encoder.views: flip, full begins with flip, and the first view is",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_is_one_line(paper, name):
    over, expected = MISTAKES[name]
    over = yaml.safe_load(over) if isinstance(over, str) else over
    with pytest.raises(UserError) as error:
        configuration.validate(merged(paper, over))
    message = str(error.value)
    assert expected in message
    assert "\n" not in message


def test_paper_config_is_valid_and_keeps_its_values(paper):
    before = copy.deepcopy(paper)
    valid = configuration.validate(paper)
    assert paper == before, "the caller's configuration is left alone"
    assert valid["options"] == paper["options"]
    assert valid["datasets"]["coco2014"]["keep"] == "labelled"
    assert valid["datasets"]["voc2007"]["difficult"] == "negative"


def test_paper_config_writes_out_the_papers_values(paper):
    """Section 4.2 and below Eq. 11, whatever the defaults become."""
    resolved = method_strings.resolve("sarl", paper["options"], paper["methods"])
    expected = {
        "n_ctx": 16,
        "gamma_neg": 2,
        "gamma_pos": 1,
        "margin": 0.05,
        "optimizer": "sgd",
        "lr": 0.002,
        "warmup_lr": 0.0005,
        "warmup_epochs": 1,
        "batch_size": 64,
        "epochs": 100,
        "schedule": "cosine",
        "joint_dim": 1024,
    }
    assert {key: resolved[key] for key in expected} == expected
    assert paper["encoder"]["image_size"] == 448


def test_paper_config_repeats_only_true_defaults(paper):
    """config.yaml shows the defaults that matter; none of them may disagree."""
    assert paper["options"] == {
        key: value
        for key, value in options.defaults().items()
        if key in paper["options"]
    }


def test_defaults_reach_nested_keys(paper):
    smallest = {
        "datasets": {"mine": MINE},
        "glove": {"file": "vectors.txt", "root": "mine"},
        "methods": {"sarl": {}},
        "experiments": {"table2": {"methods": ["sarl"]}},
    }
    valid = configuration.validate(smallest)
    dataset = valid["datasets"]["mine"]
    assert dataset["title"] == "mine" and dataset["published"] is None
    assert dataset["splits"]["train"]["shards"] == 1
    assert dataset["words"] == {} and dataset["allow_empty_classes"] is False
    assert valid["threads"] == {"features": 8, "train": 4}
    assert valid["encoder"]["model"] == "RN101-quickgelu"
    assert valid["options"] == {}, "an option's default comes after a method's own"
    assert valid["experiments"]["table2"] == {
        "datasets": ["mine"],
        "methods": ["sarl"],
        "proportions": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9],
        "seeds": [0, 1, 2],
    }


def test_null_switches_off(paper):
    over = {"datasets": {"voc2007": None}, "experiments": {"figure8": None}}
    valid = configuration.validate(merged(paper, over))
    assert list(valid["datasets"]) == ["coco2014"]
    assert "figure8" not in valid["experiments"]
    assert plan.runs(valid, **plan.experiment(valid, "figure8")) == []
    assert valid["experiments"]["table2"]["datasets"] == ["coco2014"]


def test_every_key_of_the_schema_is_described():
    schema = configuration.config_schema()
    jsonschema.Draft202012Validator.check_schema(schema)

    def walk(node: Any, path: str) -> None:
        for key, part in node.get("properties", {}).items():
            assert part.get("description"), f"{path}{key} has no description"
            walk(part, f"{path}{key}.")
        if node.get("properties"):
            assert node["additionalProperties"] is False, path
        if isinstance(rest := node.get("additionalProperties"), dict):
            walk(rest, f"{path}*.")

    walk(schema, "")


def test_demo_config_is_valid_and_keeps_the_papers_grid(paper, repository):
    demo = yaml.safe_load((repository / "profiles/demo/config.yaml").read_text())
    valid = configuration.validate(merged(paper, demo))
    full = configuration.validate(paper)
    assert valid["device"] == "cpu"
    assert set(valid["datasets"]) == {"demo_coco", "demo_voc"}
    assert set(valid["experiments"]) == set(full["experiments"])
    for name, experiment in valid["experiments"].items():
        theirs = full["experiments"][name]
        assert len(experiment["datasets"]) == len(theirs["datasets"])
        for key in ("methods", "proportions"):
            assert experiment[key] == theirs[key], f"{name}.{key}"
        fewer = [0, 1] if name in ("table2", "table3") else [0]
        assert experiment["seeds"] == fewer
        if "systems" in theirs:  # fewer of their runs, for time's sake
            systems = experiment["systems"]
            assert systems["methods"] == theirs["systems"]["methods"]
            assert set(systems["proportions"]) < set(theirs["proportions"])
            assert systems["seeds"] == [0]


def test_demo_config_has_the_classes_of_the_demo_world(repository):
    demo = yaml.safe_load((repository / "profiles/demo/config.yaml").read_text())
    assert tuple(demo["datasets"]["demo_voc"]["classes"]) == VOC_WORLD.names


def test_paths_may_hold_environment_variables(paper, monkeypatch):
    monkeypatch.setenv("BIG_DISK", "/disk")
    changed = merged(
        paper,
        {"data_dir": "$BIG_DISK/data", "glove": {"root": "${BIG_DISK}/glove"}},
    )
    checked = configuration.validate(changed)
    assert checked["data_dir"] == "/disk/data"
    assert raw_files.glove_source(checked) == "/disk/glove/glove.840B.300d.zip"
    monkeypatch.delenv("BIG_DISK")
    with pytest.raises(UserError, match=r"data_dir: .*BIG_DISK is not set; set it"):
        configuration.validate(changed)


def test_photographs_config_is_valid(paper, repository, monkeypatch):
    monkeypatch.setenv("MLRPL_PHOTOS", "/photos")
    over = yaml.safe_load((repository / "tests/photos/config.yaml").read_text())
    checked = configuration.validate(merged(paper, over))
    assert list(checked["datasets"]) == ["coco18"]
    assert raw_files.encoder_files(checked)[0].startswith("/photos/coco18/clip/")
