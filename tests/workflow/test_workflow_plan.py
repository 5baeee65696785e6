"""What Snakemake plans, and what it runs again after a change."""

import ast
import os
import textwrap
import time
from pathlib import Path

import pytest
import yaml

from support.workflow_tree import copy_tree, job_counts, jobs, methods_trained, snakemake

pytestmark = pytest.mark.workflow
TABLE = ("csv", "md", "tex", "html")
DRY = ("-n", "--cores", "8", "--resources", "gpu=1")

# The paper's grid, counted by hand: data sets x methods x proportions x seeds.
TRAININGS = {
    "Tables 2 and 3: sarl": 2 * 1 * 9 * 3,
    "Table 4: the three besides sarl at seed 0": 2 * 3 * 5 * 1,
    "Figure 4: semantic attention": 2 * 1 * 9 * 1,
    "Figure 7: P-BCE": 2 * 1 * 9 * 1,
    "Figure 8: four other gamma+ and four other gamma-": 1 * 8 * 2 * 1,
    "pooled.smk: the two besides sarl": 2 * 2 * 3 * 1,
}


@pytest.fixture(scope="module")
def paper_plan(repository, tmp_path_factory):
    folder = copy_tree(repository, tmp_path_factory.mktemp("paper") / "tree")
    done = snakemake(folder, *DRY, offline=True)
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_paper_grid_is_planned_offline(paper_plan):
    trainings = sum(TRAININGS.values())
    assert job_counts(paper_plan) == {
        "download": 3 + 2 + 1,  # COCO, VOC, GloVe
        "index_coco": 2,
        "index_voc": 2,
        "drop": 2 * 9 * 3,
        "glove": 2,
        "encoder": 2,
        "features": 16 + 8 + 2 + 2,
        "train": trainings,
        "evaluate": trainings,
        "collect": 1,
        **dict.fromkeys(["table2", "table3", "table4"], 1),
        **dict.fromkeys(["figure4", "figure7", "figure8"], 1),
        "pooled": 1,
        "all": 1,
    }


def test_one_training_at_a_time_on_a_gpu(paper_plan):
    for rule in ("train", "features"):
        for job in jobs(paper_plan, rule):
            assert "gpu=1" in job["resources"].split(", "), job


def test_every_named_target_is_made(paper_plan):
    wanted = {
        f"results/{path}"
        for path in (
            *(f"tables/table{i}.{f}" for i in (2, 3, 4) for f in TABLE),
            *(f"figures/figure{i}.{f}" for i in (4, 7, 8) for f in ("pdf", "png")),
            "tables/metrics.csv",
        )
    }
    [everything] = jobs(paper_plan, "all")
    assert wanted <= set(everything["input"].split(", "))


def test_every_training_is_in_metrics_csv(paper_plan):
    [collect] = jobs(paper_plan, "collect")
    metrics = {p for p in collect["input"].split(", ") if p.endswith("metrics.json")}
    trained = {
        output.replace("run.json", "metrics.json")
        for job in jobs(paper_plan, "train")
        for output in job["output"].split(", ")
        if output.endswith("run.json")
    }
    assert metrics == trained


def test_demo_plans_the_same_grid(repository, tmp_path):
    folder = copy_tree(repository, tmp_path / "tree")
    profile = ("--workflow-profile", "profiles/demo")
    done = snakemake(folder, "-n", "--cores", "2", *profile, offline=True)
    assert done.returncode == 0, done.stdout
    counts = job_counts(done.stdout)
    assert counts["train"] == counts["evaluate"] == sum(TRAININGS.values())
    assert "download" not in counts and counts["demo_world"] == 1
    for job in jobs(done.stdout, "train"):
        assert job["output"].startswith("results/demo/runs/")
        assert "gpu=0" in job["resources"].split(", "), "two trainings run at once"


# ------------------------------------------------------- what a change runs again

SMALL = {
    "proportions": [0.5],
    "datasets": {
        "coco2014": None,
        "voc2007": {"root": "voc"},
        "mine": {
            "format": "csv",
            "root": "mine",
            "words": {"b": "bee", "a": "ay"},
            "splits": {
                "train": {"images": "i.zip", "labels": "l.csv", "shards": 2},
                "test": {"images": "i.zip", "labels": "l.csv"},
            },
        },
    },
    "glove": {"root": "vectors"},
    "encoder": {"model": "own/model.json", "pretrained": "own/weights.pt"},
    "experiments": {
        "table2": {"seeds": [0]},
        "table3": None,
        "table4": {"proportions": [0.5]},
        "figure4": None,
        "figure8": {
            "datasets": ["mine"],
            "methods": ["sarl+gamma_neg=2", "sarl+gamma_neg=3"],
            "proportions": [0.5],
        },
    },
}
FILES = (
    "voc/VOCtrainval_06-Nov-2007.tar",
    "voc/VOCtest_06-Nov-2007.tar",
    "mine/i.zip",
    "mine/l.csv",
    "vectors/glove.840B.300d.zip",
    "own/model.json",
    "own/weights.pt",
)


class Finished:
    """A small workflow that has run, to be changed and planned again."""

    def __init__(self, repository: Path, folder: Path):
        self.folder = copy_tree(repository, folder, stand_in=True)
        for name in FILES:
            self.write(name, name)
        self.overlay({})
        done = snakemake(self.folder, *self.arguments("--cores", "2", "--quiet"))
        assert done.returncode == 0, done.stdout

    def arguments(self, *arguments: str) -> list[str]:
        return [*arguments, "--resources", "gpu=1", "--configfile", "small.yaml"]

    def write(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(exist_ok=True, parents=True)
        (self.folder / name).write_text(text)

    def overlay(self, changes: dict) -> None:
        """Put the small config with changes of its top-level keys in place."""
        self.write("small.yaml", yaml.safe_dump({**SMALL, **changes}))

    def plan(self, *targets: str) -> str:
        arguments = self.arguments("-n", "--cores", "8")
        done = snakemake(self.folder, *targets, *arguments)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def edit(self, name: str) -> None:
        path = self.folder / name
        path.write_text(path.read_text() + "\n# edited\n")


@pytest.fixture(scope="module")
def finished(repository, tmp_path_factory):
    return Finished(repository, tmp_path_factory.mktemp("small") / "a folder")


@pytest.fixture
def changed(finished):
    """The finished workflow; config and edited files are put back afterwards."""
    kept = {p: p.read_text() for p in (finished.folder / "workflow").rglob("*.py")}
    yield finished
    finished.overlay({})
    for path, text in kept.items():
        if path.read_text() != text:
            path.write_text(text)


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
        "all": 1,
    }


def test_editing_a_common_option_trains_all_but_those_that_set_it(changed):
    changed.overlay({"options": {"gamma_neg": 3}})
    trained = methods_trained(changed.plan())
    # sarl+gamma_neg=3 is sarl now, and sarl+gamma_neg=2 is a run of its own.
    assert {"sarl", "coop", "sarl+gamma_neg=2"} <= trained
    assert "sarl+gamma_neg=3" not in trained


def test_editing_a_module_trains_the_methods_that_use_it(changed):
    changed.edit("workflow/mlrpl/losses/p_bce.py")
    assert methods_trained(changed.plan()) == {"sarl+loss=p_bce"}
    changed.edit("workflow/mlrpl/visual/global_feature.py")
    trained = methods_trained(changed.plan())
    assert trained == {"sarl+loss=p_bce", "coop", "coop_csp"}


def test_editing_the_metrics_trains_nothing(changed):
    changed.edit("workflow/mlrpl/metrics.py")
    counts = job_counts(changed.plan())
    assert counts["evaluate"] > 10 and "train" not in counts


def test_editing_the_tables_trains_nothing(changed):
    changed.edit("workflow/mlrpl/tables.py")
    assert job_counts(changed.plan()) == {
        **{"table2": 1, "table4": 1, "pooled": 1},
        "all": 1,
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
    changed.edit("workflow/mlrpl/storage.py")
    changed.write("workflow/mlrpl/losses/mine.py", "LOSS = 1\n")
    assert job_counts(changed.plan()) == {}
    (changed.folder / "workflow/mlrpl/losses/mine.py").unlink()


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


# ----------------------------------------------------------- ablations and single runs

ABLATION = """\
LR = {"method": ["sarl", "sarl+lr=0.1"], "prop": 0.5, "seed": 0}


use rule table as lr with:
    input:
        **shown(rules.table.input.code, **LR),
    output:
        **table_files("<results>/ablations/lr", category="Ablations"),
    log:
        "<logs>/ablations/lr.log",
    params:
        spec=spec({"title": "Learning rate", "layout": "proportions"}, **LR),
"""


def test_an_ablation_is_a_file(changed):
    changed.write("workflow/ablations/lr.smk", ABLATION)
    output = changed.plan()
    counts = {
        "train": 2,
        "evaluate": 2,
        "lr": 1,
        "collect": 1,
        "all": 1,
    }
    assert job_counts(output) == counts
    assert methods_trained(output) == {"sarl+lr=0.1"}
    [collect] = jobs(output, "collect")
    assert "results/runs/mine/sarl+lr=0.1/prop=0.5/seed=0/metrics.json" in (
        collect["input"].split(", ")
    )
    done = snakemake(changed.folder, "lr", *changed.arguments("--cores", "2"))
    assert done.returncode == 0, done.stdout
    table = (changed.folder / "results/ablations/lr.md").read_text()
    assert "sarl+lr=0.1" in table and "--published --metrics results/runs" in table
    (changed.folder / "workflow/ablations/lr.smk").unlink()


def test_an_ablation_without_a_rule_of_its_name_says_so(changed):
    path = changed.folder / "workflow/ablations/other.smk"
    path.write_text(ABLATION.replace("as lr", "as another"))
    done = snakemake(changed.folder, *changed.arguments(*DRY[:3]))
    path.unlink()
    assert done.returncode == 1
    assert "Rule other is not defined" in done.stdout


RUN = "results/runs/mine/{}/prop=0.5/seed=0/metrics.json"


def test_any_run_is_a_target(finished):
    output = finished.plan(RUN.format("coop+epochs=3+loss=p_bce"))
    [train] = jobs(output, "train")
    assert "method=coop+epochs=3+loss=p_bce" in train["wildcards"]


def test_a_run_by_another_name_is_one_line(finished):
    target = RUN.format("sarl+loss=p_bce+epochs=3")
    done = snakemake(finished.folder, target, *finished.arguments("--cores", "1"))
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == (
        "Error: sarl+loss=p_bce+epochs=3 is the same run as sarl+epochs=3+loss=p_bce; "
        "ask for sarl+epochs=3+loss=p_bce"
    )
    assert "Traceback" not in done.stdout
    # The folder is not left locked.
    target = RUN.format("sarl+gama=1")
    done = snakemake(finished.folder, target, *finished.arguments("--cores", "1"))
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == (
        "Error: method sarl+gama=1: unknown option gama; did you mean gamma_pos?"
    )


def test_a_config_mistake_is_one_line(repository, tmp_path):
    folder = copy_tree(repository, tmp_path / "tree")
    (folder / "wrong.yaml").write_text("datasets: {voc2007: {formt: voc}}")
    done = snakemake(folder, *DRY, "--configfile", "wrong.yaml")
    assert done.returncode == 1
    said = [line for line in done.stdout.splitlines() if line]
    assert said.pop() == (
        "Error: config key datasets.voc2007.formt: unknown key; did you mean format?"
    )
    # Snakemake says which profile and config it took; nothing else stands before.
    assert all("profile" in line or "onfig file" in line for line in said), said


# ------------------------------------------------------------------- code as an input

# Modules that a job imports and whose edit changes no number.
NO_NUMBERS = {
    "errors": "texts of errors",
    "storage": "how files reach the disk",
    "device": "where a job runs",
    "checkpoints": "a training that goes on ends with the same bits",
    "options": "its result, the resolved options, is a parameter",
    "data.index": "reading and writing; the rules that make an index name it",
    "data.archives": "reading bytes; a file's bytes are its input",
    "data.archive_base": "as archives",
    "memory": "where features lie; the batches are the same",
    "data.tar_archive": "as archives",
    "encoder.cache": "reading; the training, which uses its numbers, names it",
}


def imports(package: Path, module: str) -> set[str]:
    """Return the package's own modules that a module imports."""
    path = package / f"{module.replace('.', '/')}.py"
    if not path.exists():
        path = package / module.replace(".", "/") / "__init__.py"
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ImportFrom) or node.module is None:
            continue
        if node.module != "mlrpl" and not node.module.startswith("mlrpl."):
            continue
        base = node.module.removeprefix("mlrpl").removeprefix(".")
        for alias in node.names:
            whole = f"{base}.{alias.name}".removeprefix(".")
            as_module = package / f"{whole.replace('.', '/')}.py"
            found.add(whole if as_module.exists() else base)
    return found - {""}


def test_rules_name_every_module_that_makes_numbers(paper_plan, repository):
    package = repository / "workflow/mlrpl"
    commands = {
        "index_coco": "index",
        "index_voc": "index",
        "drop": "drop",
        "glove": "glove",
        "encoder": "encoder",
        "features": "features",
        "train": "train",
        "evaluate": "evaluate",
        "collect": "collect",
        "table2": "table",
        "figure4": "figure",
        "pooled": "table",
    }
    other_format = {"index_coco": {"data.voc"}, "index_voc": {"data.coco"}}
    for rule, command in commands.items():
        named = {
            path.removeprefix("workflow/mlrpl/").removesuffix(".py").replace("/", ".")
            for job in jobs(paper_plan, rule)
            for path in job["input"].split(", ")
            if path.endswith(".py")
        }
        needed, waiting = set(), {f"commands.{command}"}
        while waiting:
            module = waiting.pop()
            needed.add(module)
            if module == "metrics" and rule != "evaluate":
                continue  # the others take the names of its columns alone
            waiting |= imports(package, module) - needed - set(NO_NUMBERS)
        needed -= other_format.get(rule, set()) | {"data.csv_table"}
        needed = {
            module
            for module in needed
            if not module.startswith("commands.")
            and not (package / module.replace(".", "/")).is_dir()
        }
        assert needed <= named, textwrap.dedent(f"""
            Rule {rule} runs modules that are not among its inputs:
            {sorted(needed - named)}""")
