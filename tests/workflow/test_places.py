"""Where the workflow may lie, and from where it may be called."""

import re

import pytest
import yaml

from support.small_workflow import FILES, SMALL, Finished
from support.workflow_tree import copy_tree, job_counts, snakemake

pytestmark = pytest.mark.workflow
NAME = 'it\'s "a" [höuse] & (b); $(touch pwned) `touch pwned`'


def test_every_path_in_a_command_is_quoted(repository):
    """Of a file or folder: as it stands it would be cut at a space."""
    for path in (repository / "workflow/rules").glob("*.smk"):
        for block in re.findall(
            r"^    shell:\n((?:        .*\n)+)", path.read_text(), re.M
        ):
            for name in re.findall(r"\{([^}]*)\}", block):
                flags = name in (
                    *("resources.url", "resources.device", "resources.batch_size"),
                    "resources.record",
                    *("threads", "params.check", "params.choices", "params.member"),
                    *("params.words", "params.encoder", "params.image_size"),
                    *("params.names", "params.colours", "params.views"),
                    *("params.shards", "params.context", "resources.names"),
                    *("params.beside", "params.features", "params.resamples"),
                )
                assert flags or name.endswith(":q"), (path.name, name)


def test_it_runs_in_a_folder_of_any_name_and_runs_nothing_else(repository, tmp_path):
    place = Finished(repository, tmp_path / NAME / "workflow", run=False)
    changes = {"results": f"r {NAME}", "logs": f"l {NAME}", "data_dir": f"d {NAME}"}
    changes["datasets"] = {**SMALL["datasets"]}
    mine = {**SMALL["datasets"]["mine"], "root": f"m {NAME}"}
    changes["datasets"]["mine"] = mine
    changes["glove"] = {"root": f"m {NAME}"}
    changes["encoder"] = {
        "model": f"m {NAME}/e.json",
        "pretrained": f"m {NAME}/w.pt",
    }
    changes["titles"] = {"sarl": "Ours {x} $(touch pwned)"}
    for name in ("i.zip", "l.csv", "glove.840B.300d.zip", "e.json", "w.pt"):
        place.write(f"m {NAME}/{name}", name)
    place.overlay(changes)
    place.run("--cores", "2", "--quiet")
    table = place.folder / f"r {NAME}/tables/table2.md"
    assert f"--output r {NAME}/tables/table2" in table.read_text()
    assert "Ours {x} $(touch pwned)" in table.read_text()
    assert job_counts(place.plan()) == {}
    assert not list(tmp_path.rglob("pwned"))


def test_a_path_that_snakemake_would_read_as_its_own_is_one_line(finished):
    for key, value in (("results", "r{x}"), ("glove", {"root": "<g>"})):
        finished.overlay({key: value})
        done = snakemake(finished.folder, "-n", *finished.arguments())
        finished.overlay({})
        assert done.returncode == 1
        assert f"Error: config key {key}" in done.stdout
        assert "Traceback" not in done.stdout


def caller(folder, config):
    """A folder elsewhere with the data that the small configuration names."""
    folder.mkdir()
    for name in FILES:
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text(name)
    (folder / "small.yaml").write_text(yaml.safe_dump(config))
    return folder


def test_it_is_called_from_another_folder(repository, tmp_path):
    tree = copy_tree(repository, tmp_path / "project", stand_in=True)
    folder = caller(tmp_path / "elsewhere", SMALL)
    done = snakemake(
        *(folder, "-s", str(tree / "Snakefile"), "--cores", "2", "--quiet"),
        *("--configfile", "small.yaml"),
    )
    assert done.returncode == 0, done.stdout
    assert (folder / "results/tables/table2.md").exists()
    assert not (tree / "results").exists()


def test_it_is_a_module_of_another_workflow(repository, tmp_path):
    tree = copy_tree(repository, tmp_path / "project", stand_in=True)
    folder = caller(tmp_path / "elsewhere", SMALL)
    (folder / "Snakefile").write_text(
        'configfile: "small.yaml"\n\n\n'
        f'module mlrpl:\n    snakefile: "{tree / "Snakefile"}"\n    config: config\n'
        "\n\nuse rule * from mlrpl\n"
    )
    done = snakemake(folder, "--cores", "2", "--quiet")
    assert done.returncode == 0, done.stdout
    assert (folder / "results/tables/table2.md").exists()
    assert (folder / "results/ablations/pooled.md").exists()
    assert not (tree / "results").exists()


@pytest.mark.parametrize("prefix", ["", " as mlrpl_*"])
def test_a_module_without_a_config_takes_that_of_the_folder(
    repository, tmp_path, prefix
):
    tree = copy_tree(repository, tmp_path / "project", stand_in=True)
    folder = caller(tmp_path / "elsewhere", SMALL)
    (folder / "small.yaml").rename(folder / "config.yaml")
    (folder / "Snakefile").write_text(
        f'module mlrpl:\n    snakefile: "{tree / "Snakefile"}"\n\n\n'
        f"use rule * from mlrpl{prefix}\n"
    )
    target = f"{prefix[4:-1]}table2"
    done = snakemake(folder, "-n", "--cores", "2", target)
    assert done.returncode == 0, done.stdout
    assert {job.removeprefix("mlrpl_") for job in job_counts(done.stdout)} == {
        *("index_csv", "index_voc", "drop", "glove", "encoder", "features"),
        "shard_list",
        *("train", "evaluate", "table2"),
    }


def test_the_demo_is_planned_from_another_folder(repository, tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    done = snakemake(
        *(folder, "-s", str(repository / "Snakefile"), "-n", "--cores", "2"),
        *("--configfile", str(repository / "profiles/demo/config.yaml")),
    )
    assert done.returncode == 0, done.stdout
    assert job_counts(done.stdout)["demo_world"] == 1
