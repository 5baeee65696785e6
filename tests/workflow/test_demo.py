"""The embedded demo from a clean tree: the real jobs.

Two proportions in two tables and one in all else, one seed, fewer pictures and half
the epochs, for time's sake.
"""

import csv
import json
import re

import pytest
import yaml

from support.workflow_tree import copy_tree, snakemake

pytestmark = pytest.mark.workflow

PROPORTIONS = [0.1, 0.9]
PICTURES = {"COCO_TRAIN": 240, "COCO_VAL": 160, "VOC_TRAINVAL": 240, "VOC_TEST": 160}
DEMO = ("--cores", "2", "--workflow-profile", "profiles/demo")

ABLATION = """\
\"""Where the context vectors start.\"""


use rule table_ablation as ablation_dropped_in with:
    input:
        **ablation(
            title="Contexts",
            method=["sarl", "sarl+context_init=random+n_ctx=2"],
            prop=0.9,
            seed=0,
            printed=["table2"],
        ),
"""


@pytest.fixture(scope="module")
def demo(repository, tmp_path_factory):
    """Run the small demo; return its folder."""
    folder = copy_tree(repository, tmp_path_factory.mktemp("demo") / "tree")
    path = folder / "workflow/mlrpl/demo/archives.py"
    text = path.read_text()
    for name, count in PICTURES.items():
        text, changed = re.subn(rf"(?m)^({name} = .*, )\d+\)$", rf"\g<1>{count})", text)
        assert changed == 1
    path.write_text(text)
    path = folder / "profiles/demo/config.yaml"
    config = yaml.safe_load(path.read_text())
    config["proportions"] = PROPORTIONS
    base = yaml.safe_load((folder / "config.yaml").read_text())
    for name in base["experiments"]:
        entry = config["experiments"].setdefault(name, {})
        both = name in ("table2", "table3")
        entry["proportions"] = PROPORTIONS if both else PROPORTIONS[-1:]
        entry["seeds"] = [0]
        if "systems" in base["experiments"][name]:
            entry["systems"]["proportions"] = PROPORTIONS[-1:]
    config["options"] |= {"epochs": 3, "eval_every": 3}
    path.write_text(yaml.safe_dump(config))
    path = folder / "workflow/ablations/pooled.smk"
    text, changed = re.subn(
        r"prop=\[.*\]", f"prop={PROPORTIONS[-1:]}", path.read_text()
    )
    assert changed == 1
    path.write_text(text)
    done = snakemake(folder, *DEMO, "--verbose")
    assert done.returncode == 0, done.stdout[-4000:]
    (folder / "verbose.log").write_text(done.stdout)
    return folder


def metrics(folder):
    with (folder / "results/demo/tables/metrics.csv").open() as file:
        return list(csv.DictReader(file))


def test_tables_and_figures_are_there(demo):
    results = demo / "results/demo"
    for name in ("table2", "table3", "table4", "localisation"):
        for suffix in (".csv", ".md", ".tex", ".html"):
            assert (results / f"tables/{name}{suffix}").stat().st_size > 200
    for name in (f"figure{number}" for number in range(3, 10)):
        assert (results / f"figures/{name}.png").read_bytes()[:4] == b"\x89PNG"
        assert (results / f"figures/{name}.pdf").read_bytes()[:4] == b"%PDF"


def test_the_queue_is_looked_at_when_a_job_has_ended_and_not_every_second(demo):
    log = (demo / "verbose.log").read_text()
    finished, looks = log.count("Finished jobid: "), log.count("\nReady jobs: ")
    assert finished > 50
    assert 0 < looks < 2 * finished


def test_attention_finds_the_objects_better_than_chance(demo):
    with (demo / "results/demo/tables/localisation.csv").open() as file:
        rows = {
            (r["dataset"], r["metric"], r["method"]): r for r in csv.DictReader(file)
        }
    for dataset in ("demo_coco", "demo_voc"):
        for metric in ("Peak in a box", "Its middle in a box", "Attention in boxes"):
            ours, chance = (rows[dataset, metric, m] for m in ("sarl", "chance"))
            assert float(ours["0.9"]) > 1.2 * float(chance["0.9"])


def test_metrics_have_every_run_once(demo):
    rows = metrics(demo)
    keys = [
        tuple(row[k] for k in ("dataset", "method", "prop", "seed", "epoch"))
        for row in rows
    ]
    assert len(set(keys)) == len(keys)
    methods = {row["method"] for row in rows if row["dataset"] == "demo_voc"}
    assert {"coop", "coop_csp", "coop_sd", "sarl", "sarl+loss=p_bce"} <= methods
    systems = {"ssgrl", "gcn_ml", "kggr", "sst", "hst", "sarb", "dsrb"}
    assert systems <= methods
    assert all(5 < float(row["mAP"]) < 100 for row in rows)


def test_the_table_says_what_the_metrics_say(demo):
    found = {
        row["dataset"]: float(row["mAP"])
        for row in metrics(demo)
        if (row["method"], row["prop"], row["epoch"]) == ("sarl", "0.9", "last")
    }
    text = (demo / "results/demo/tables/table4.csv").read_text()
    for value in found.values():
        assert f"{value:.6f}"[:6] in text


def test_a_second_run_has_nothing_to_do(demo):
    assert "Nothing to be done" in snakemake(demo, *DEMO).stdout


def test_the_report_is_one_file_with_tables_and_figures(demo):
    done = snakemake(demo, *DEMO, "--report", "results/demo/report.html")
    assert done.returncode == 0, done.stdout[-4000:]
    text = (demo / "results/demo/report.html").read_text()
    for name in (
        "Tables",
        "Figures",
        "Ablations",
        "table2.html",
        "figure8.png",
        "index.html",
    ):
        assert name in text
    assert not re.findall(r"<script[^>]+src=\"http", text)


def test_the_first_page_holds_what_the_run_made(demo):
    page = (demo / "results/demo/report/index.html").read_text()
    for name in ("Table 2", "Table 3", "Table 4", "Figure 4", "Figure 7", "Figure 8"):
        assert f"<h3>{name}: " in page
    assert "<h3>pooled</h3>" in page
    assert page.count("data:image/png;base64,") >= 4
    assert "Training curves: loss and test mAP" in page
    runs = list((demo / "results/demo/runs").rglob("run.json"))
    assert f"<dt>Trainings</dt><dd>{len(runs):,}</dd>" in page


def test_editing_one_methods_option_trains_it_alone(demo):
    path = demo / "config.yaml"
    before = path.read_text()
    config = yaml.safe_load(before)
    config["methods"]["coop"]["weight_decay"] = 0.1
    path.write_text(yaml.safe_dump(config))
    planned = snakemake(demo, "-n", *DEMO).stdout
    path.write_text(before)
    trained = set(re.findall(r"wildcards: dataset=\w+, method=([^,]+), .*", planned))
    assert trained == {"coop"}


def test_an_ablation_dropped_in_is_run(demo):
    path = demo / "workflow/ablations/dropped_in.smk"
    path.write_text(ABLATION)
    done = snakemake(demo, "results/demo/ablations/dropped_in.md", *DEMO)
    path.unlink()
    assert done.returncode == 0, done.stdout[-4000:]
    assert "+n_ctx=2" in (demo / "results/demo/ablations/dropped_in.csv").read_text()


def test_a_run_says_what_it_was(demo):
    folder = demo / "results/demo/runs/demo_voc/sarl/prop=0.9/seed=0"
    facts = json.loads((folder / "run.json").read_text())
    assert facts["options"]["visual"] == "semantic_decoupling"
    assert facts["seconds"]["train"] > 0
    assert facts["parameters"]["prompts"] > 0


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("truncated", ["VOCtrainval_06-Nov-2007.tar"]),
        ("no word", ["glove.txt"]),
    ],
)
def test_damaged_input_is_one_line_and_nothing_is_lost(demo, damage, words):
    world = demo / "results/demo/world"
    file = world / words[0]
    whole = file.read_bytes()
    kept = (demo / "results/demo/tables/table2.csv").read_bytes()
    if damage == "truncated":
        file.write_bytes(whole[: len(whole) // 2])
        target = "results/demo/data/demo_voc/train.h5"
    else:
        file.write_text("nothing 1 2 3\n")
        target = "results/demo/data/demo_voc/glove.npy"
    done = snakemake(demo, target, *DEMO, "--force")
    file.write_bytes(whole)
    assert done.returncode != 0
    lines = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert lines
    assert all(word in lines[0] for word in words)
    assert "Traceback" not in done.stdout
    assert (demo / "results/demo/tables/table2.csv").read_bytes() == kept
