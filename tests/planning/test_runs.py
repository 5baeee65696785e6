"""Which runs something names, and what tables, figures and ablations are made of."""

import json
from types import SimpleNamespace

import pytest

from mlrpl.config import plan
from mlrpl.errors import UserError
from mlrpl.planning.ablation_files import AblationFiles, keep_names
from mlrpl.planning.runs import Runs, resamples_of

TEXT = '''"""What it shows."""

use rule table_ablation as ablation_{name} with:
    input:
        []
'''


@pytest.fixture
def runs(config):
    return Runs(config, chosen=["mine"])


@pytest.fixture
def files(runs, tmp_path):
    for name in ("mine", "other"):
        (tmp_path / f"{name}.smk").write_text(TEXT.format(name=name))
    return AblationFiles(runs, tmp_path)


ONE = {"dataset": "voc2007", "method": "sarl+gamma_pos=1", "prop": 0.5, "seed": 0}
RUN = "voc2007/sarl/prop=0.5/seed=0"


def test_settings_are_named(runs):
    assert runs.settings(**ONE) == [f"<results>/runs/{RUN}/metrics.json"]
    assert runs.named == {RUN}
    assert runs.files_of_named("run.json")(None) == [f"<results>/runs/{RUN}/run.json"]
    assert runs.files_of_named("run.json", lambda every: every[1:])(None) == []


def test_runs_of_ablations_that_nobody_asked_for_are_not_named(runs, files):
    files.next_file("other")
    files.ablation(**ONE)
    assert runs.named == set()
    files.next_file("mine")
    files.ablation(**ONE)
    assert runs.named == {RUN}
    files.all_read()
    assert runs.reading is None


def test_an_ablation_is_its_runs_and_its_contents(files):
    files.next_file("mine")
    found = files.ablation(**ONE, printed=("table4",), interval=True, epoch="best")
    assert found["metrics"] == [f"<results>/runs/{RUN}/metrics.json"]
    assert found["resamples"] == [f"<results>/runs/{RUN}/resamples_best.h5"]
    assert found["published"][0].endswith("workflow/published/table4.csv")
    job = SimpleNamespace()
    spec = json.loads(files.of_job("spec")(job, ["results/ablations/mine.csv"]))
    assert spec["title"] == "mine" and spec["layout"] == "proportions"
    assert [method["name"] for method in spec["methods"]] == ["sarl"]
    caption = files.of_job("caption")
    assert caption(job, ["results/ablations/mine.md"]) == "What it shows."


def test_mistakes_in_contents_name_the_ablation(files):
    files.next_file("mine")
    with pytest.raises(UserError, match="ablation mine: tilte: unknown key; did you"):
        files.ablation(**ONE, tilte="x")
    with pytest.raises(UserError, match="ablation mine: layout"):
        files.ablation(**ONE, layout="rows")


def test_two_files_with_one_rule(files, tmp_path):
    twice = "\nrule ablation_mine_more:\n    input: []\n"
    (tmp_path / "mine.smk").write_text(TEXT.format(name="mine") + twice)
    more = TEXT.format(name="mine_more")
    (tmp_path / "mine_more.smk").write_text(more)
    files.next_file("mine")
    with pytest.raises(UserError, match=r"mine_more, which mine\.smk has, too"):
        files.next_file("mine_more")


def test_a_name_of_the_workflow_stays():
    before = {"config": [], "__name__": "a"}
    keep_names("mine.smk", before, {**before, "__name__": "b", "new": 1})
    with pytest.raises(UserError, match=r"mine\.smk: assigns config, which the"):
        keep_names("mine.smk", before, {**before, "config": {}})


def test_what_an_experiment_switches_on(config):
    config["experiments"]["table2"]["interval"] = True
    runs = Runs(config)
    assert runs.asked("table2", "interval") == {"interval": True}
    assert runs.asked("table2", "cost") == {}
    assert runs.asked("figure99", "interval") == {}


def test_examples_name_their_runs(runs, config):
    found = runs.example_files("figure3")
    assert found == [
        f"<results>/examples/figure3/{dataset}.h5" for dataset in config["datasets"]
    ]
    assert runs.named


def test_metrics_that_are_there_besides(config, tmp_path):
    config["results"] = str(tmp_path)
    runs = Runs(config)
    runs.settings(**ONE)
    for name in (RUN, "voc2007/coop/prop=0.5/seed=0"):
        method = name.split("/")[1]
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        (folder / "metrics.json").write_text("{}")
        options = plan.method_options(config, method)
        (folder / "run.json").write_text(json.dumps({"options": options}))
    [other] = runs.other_metrics(None)
    assert other.endswith("voc2007/coop/prop=0.5/seed=0/metrics.json")


def test_arguments_of_resamples():
    assert resamples_of(None, SimpleNamespace(resamples=[])) == ""
    found = resamples_of(None, SimpleNamespace(resamples=["a.h5", "b c.h5"]))
    assert found == "--resamples a.h5 'b c.h5'"
