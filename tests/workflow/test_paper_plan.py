"""What Snakemake plans for the paper, and what is said of a mistake."""

import pytest

from support.workflow_tree import copy_tree, job_counts, jobs, snakemake

pytestmark = pytest.mark.workflow
TABLE = ("csv", "md", "tex", "html")
DRY = ("-n", "--cores", "8", "--resources", "gpu=1")

# The paper's grid, counted by hand: data sets x methods x proportions x seeds.
TRAININGS = {
    "Tables 2 and 3: sarl": 2 * 1 * 9 * 3,
    "Tables 2 and 3: the seven systems": 2 * 7 * 9 * 3,
    "Table 4: the three besides sarl at seed 0": 2 * 3 * 5 * 1,
    "Figure 4: semantic attention": 2 * 1 * 9 * 1,
    "Figure 7: P-BCE": 2 * 1 * 9 * 1,
    "Figure 8: four other gamma+ and four other gamma-": 1 * 8 * 2 * 1,
}
# The demo runs the systems at three proportions and one seed, and one ablation too.
FEWER = {
    "Tables 2 and 3: sarl": 2 * 1 * 9 * 2,
    "Tables 2 and 3: the seven systems": 2 * 7 * 3 * 1,
    "pooled.smk: the two besides sarl": 2 * 2 * 3 * 1,
}
DEMO_TRAININGS = {**TRAININGS, **FEWER}


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
        "weights": 1,
        "index_coco": 2,
        "index_voc": 2,
        "drop": 2 * 9 * 3,
        "glove": 2,
        "encoder": 2,
        "features": 16 + 8 + 2 + 2,
        "shard_list": 2 * 2,
        "train": trainings,
        "evaluate": trainings,
        "collect": 1,
        # Pictures, AP by class and localisation are of runs that the others train.
        "boxes_coco": 1,
        "boxes_voc": 1,
        "localise": 2 * 3 * 3 * 1,
        "examples": 2 * 3,  # figures 3, 6 and 9
        **dict.fromkeys(["table2", "table3", "table4", "localisation"], 1),
        **dict.fromkeys([f"figure{number}" for number in (3, 4, 5, 6, 7, 8, 9)], 1),
        **dict.fromkeys(["curves", "classes", "overview"], 1),
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
            *(f"tables/localisation.{f}" for f in TABLE),
            *(f"figures/figure{i}.{f}" for i in range(3, 10) for f in ("pdf", "png")),
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


def test_the_systems_stand_in_the_tables_beside_ours(paper_plan):
    methods = ["ssgrl", "gcn_ml", "kggr", "sst", "hst", "sarb", "dsrb", "sarl"]
    for table in ("table2", "table3"):
        [job] = jobs(paper_plan, table)
        runs = [path for path in job["input"].split(", ") if "/runs/" in path]
        assert list(dict.fromkeys(path.split("/")[3] for path in runs)) == methods
        assert len(runs) == len(set(runs)) == 2 * 8 * 9 * 3


def test_the_systems_can_be_left_out(repository, tmp_path):
    folder = copy_tree(repository, tmp_path / "tree")
    off = "{table2: {systems: null}, table3: {systems: null}}"
    (folder / "mine.yaml").write_text(f"experiments: {off}")
    done = snakemake(folder, *DRY, "--configfile", "mine.yaml", offline=True)
    assert done.returncode == 0, done.stdout
    left = sum(TRAININGS.values()) - TRAININGS["Tables 2 and 3: the seven systems"]
    assert job_counts(done.stdout)["train"] == left


def test_demo_plans_the_same_grid(repository, tmp_path):
    folder = copy_tree(repository, tmp_path / "tree")
    profile = ("--workflow-profile", "profiles/demo")
    done = snakemake(folder, "-n", "--cores", "2", *profile, offline=True)
    assert done.returncode == 0, done.stdout
    counts = job_counts(done.stdout)
    assert counts["train"] == counts["evaluate"] == sum(DEMO_TRAININGS.values())
    assert "download" not in counts and counts["demo_world"] == 1
    for job in jobs(done.stdout, "train"):
        assert job["output"].startswith("results/demo/runs/")
        assert "gpu=0" in job["resources"].split(", "), "two trainings run at once"


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


def test_figures_compare_what_they_say_whatever_the_options_are(repository, tmp_path):
    folder = copy_tree(repository, tmp_path / "tree")
    (folder / "mine.yaml").write_text("options: {loss: p_bce}")
    done = snakemake(folder, *DRY, "-p", "--configfile", "mine.yaml", offline=True)
    assert done.returncode == 0, done.stdout
    [figure] = jobs(done.stdout, "figure7")
    runs = {
        path.split("/")[3] for path in figure["input"].split(", ") if "runs" in path
    }
    assert runs == {"sarl", "sarl+loss=p_asl"}
    [figure] = jobs(done.stdout, "figure8")
    runs = {
        path.split("/")[3] for path in figure["input"].split(", ") if "runs" in path
    }
    assert len(runs) == 9 and all("+loss=p_asl" in run for run in runs)


def test_a_config_without_the_gammas_is_planned(repository, tmp_path):
    folder = copy_tree(repository, tmp_path / "tree")
    config = folder / "config.yaml"
    lines = config.read_text().splitlines()
    wanted = [line for line in lines if not line.startswith("  gamma_")]
    assert len(wanted) == len(lines) - 2
    config.write_text("\n".join(wanted) + "\n")
    done = snakemake(folder, *DRY, offline=True)
    assert done.returncode == 0, done.stdout
    assert job_counts(done.stdout)["train"] == sum(TRAININGS.values())
