"""What is chosen out of trials, and the config file that says so."""

import json

import pytest
import yaml

from mlrpl.__main__ import main
from mlrpl.errors import UserError
from mlrpl.reporting import tuning
from support import tiny
from support.trainings import run

HISTORY = "epoch,lr,loss,mAP,validation_mAP\n"


def write_run(root, method, found, dataset="voc", seconds=30.0, **more):
    """Write a run's two files; its test mAP says the opposite of the validation's."""
    folder = root / dataset / method
    folder.mkdir(parents=True)
    (folder / "history.csv").write_text(
        f"{HISTORY}1,0.1,2.5,,\n2,0.1,1.5,99,99\n3,0.1,1.0,{100 - found},{found}\n"
    )
    given = dict(text.split("=") for text in method.split("+")[1:])
    options = {"lr": 0.002, "optimizer": "sgd", "momentum": 0.9, "validation": 0.2}
    options |= {k: yaml.safe_load(v) for k, v in given.items()} | more
    run = {"dataset": dataset, "method": method, "prop": 0.5, "seed": 3}
    run |= {"options": options, "seconds": {"load": 9.0, "train": seconds}}
    (folder / "run.json").write_text(json.dumps(run))
    return folder / "run.json"


@pytest.fixture
def runs(tmp_path):
    """Three trials of `sarl` on two data sets: the best of each is not the best."""
    found = {
        "voc": {"lr=0.1": 80.0, "lr=0.01": 79.0, "lr=0.5": 20.0},
        "coco": {"lr=0.1": 30.0, "lr=0.01": 50.0, "lr=0.5": 60.0},
    }
    return {
        dataset: [write_run(tmp_path, f"sarl+{k}", v, dataset) for k, v in own.items()]
        for dataset, own in found.items()
    }


def tables(runs, folder, options=("lr", "margin", "optimizer")):
    paths = []
    for dataset, files in runs.items():
        paths.append(folder / f"{dataset}.csv")
        arguments = ["tune", "--runs", *map(str, files), "--options", *options]
        assert main([*arguments, "--output", str(paths[-1])]) == 0
    return paths


def test_a_table_has_the_best_first_by_the_last_validation_map(runs, tmp_path):
    path, _ = tables(runs, tmp_path)
    rows = [line.split(",") for line in path.read_text().splitlines()]
    assert rows == [
        [*tuning.FIRST, "lr", "optimizer", *tuning.LAST],
        ["voc", "sarl+lr=0.1", "0.5", "3", "0.2", "0.1", "sgd", "80.0", "30.0"],
        ["voc", "sarl+lr=0.01", "0.5", "3", "0.2", "0.01", "sgd", "79.0", "30.0"],
        ["voc", "sarl+lr=0.5", "0.5", "3", "0.2", "0.5", "sgd", "20.0", "30.0"],
    ]


def test_a_reader_sees_what_differs_between_trials(runs, tmp_path):
    path, _ = tables(runs, tmp_path)
    lines = path.with_suffix(".md").read_text().splitlines()
    assert lines[0] == "**Trials of sarl on voc**"
    assert lines[2:8] == [
        "| Place | lr | Validation mAP | Training time |",
        "| --- | ---: | ---: | ---: |",
        "| 1 | 0.1 | **80.00** | 30 s |",
        "| 2 | 0.01 | 79.00 | 30 s |",
        "| 3 | 0.5 | 20.00 | 30 s |",
        "",
    ]
    assert "Alike in all trials: optimizer = sgd." in lines[8]
    assert "20 % of the training images are held out" in lines[8]
    assert r"\textbf{80.00}" in path.with_suffix(".tex").read_text()
    assert "<b>80.00</b>" in path.with_suffix(".html").read_text()


def test_the_recipe_is_of_the_best_mean_over_the_data_sets(runs, tmp_path):
    output = tmp_path / "recipes.yaml"
    made = tables(runs, tmp_path)
    assert main(["tune", "--tables", *map(str, made), "--output", str(output)]) == 0
    text = output.read_text()
    assert yaml.safe_load(text) == {
        "recipes": {"tuned": {"sarl": {"lr": 0.01, "optimizer": "sgd"}}}
    }
    about = " ".join(line.removeprefix("# ") for line in text.splitlines()[:7])
    for said in (
        "Data: voc, coco; 50 % known labels, seed 3, 20 % of the training images",
        "At most 3 trials a method, 6 trainings in all, 3.0 minutes.",
        "the mean over 2 data sets",
    ):
        assert said in about
    assert "    # 3 trials, 3.0 minutes, 40.00 to 64.50: sarl+lr=0.01\n" in text
    assert max(map(len, text.splitlines())) <= 88


def test_values_come_back_as_they_were(tmp_path):
    """YAML 1.1 reads 1e-05 as text."""
    options = {"lr": 1e-05, "detach": True, "epochs": 20, "gcn_feature": "max"}
    run = write_run(tmp_path, "gcn", 50.0, **options)
    names = ["lr", "detach", "epochs", "gcn_feature", "margin"]
    (made,) = tables({"x": [run]}, tmp_path, names)
    (trial,) = tuning.read_tables([made])
    assert trial.options == options
    assert {k: type(v) for k, v in trial.options.items()} == {
        k: type(v) for k, v in options.items()
    }
    tuning.write_recipes([trial], tmp_path / "recipes.yaml")
    text = (tmp_path / "recipes.yaml").read_text()
    assert yaml.safe_load(text)["recipes"]["tuned"]["gcn"] == options


def test_an_option_of_some_trials_is_in_their_recipe_alone(tmp_path):
    runs = [
        write_run(tmp_path, "sarl+lr=1", 50.0),
        write_run(tmp_path, "sarl+lr=2", 40.0, margin=0.3),
    ]
    (made,) = tables({"x": runs}, tmp_path)
    assert "margin" in made.read_text().splitlines()[0]
    found = tuning.choose(tuning.read_tables([made]))
    assert found["sarl"].best.options == {"lr": 1, "optimizer": "sgd"}


def test_each_method_has_its_own(tmp_path):
    pairs = [("sarl+lr=1", 50.0), ("sarl+lr=2", 50.0), ("coop+lr=2", 20.0)]
    runs = [write_run(tmp_path, *pair) for pair in pairs]
    (made,) = tables({"x": runs}, tmp_path)
    found = tuning.choose(tuning.read_tables([made]))
    # Of equal ones the first.
    assert {k: c.best.name for k, c in found.items()} == {
        "sarl": "sarl+lr=1",
        "coop": "coop+lr=2",
    }
    assert [c.count for c in found.values()] == [2, 1]


def test_nothing_else_of_a_run_is_read(runs, tmp_path, monkeypatch):
    """Neither scores nor the test's metrics; and test mAPs change nothing."""
    read = []
    text = tuning._text

    def watched(path):
        read.append(path.name)
        return text(path)

    monkeypatch.setattr(tuning, "_text", watched)
    before = tuning.table(runs["voc"], ["lr"])
    assert set(read) == {"run.json", "history.csv"}
    for path in runs["voc"]:
        history = path.with_name("history.csv")
        lines = [line.split(",") for line in history.read_text().splitlines()]
        lines[-1][3] = "12.5"
        history.write_text("\n".join(map(",".join, lines)))
    assert tuning.table(runs["voc"], ["lr"]) == before


def test_a_mistake_is_one_line(runs, tmp_path, capsys):
    first = runs["voc"][0]
    history = first.with_name("history.csv")
    text = history.read_text()
    for content, said in (
        (text.rpartition(",")[0] + ",\n", "no validation mAP in its last line"),
        ("epoch,lr,loss,mAP\n1,1,1,1\n", "no validation mAP in its last line"),
        ("", "no validation mAP in its last line"),
    ):
        history.write_text(content)
        with pytest.raises(UserError, match=said):
            tuning.table([first], ["lr"])
    history.write_text(text)
    first.write_text('{"dataset": "voc"}')
    with pytest.raises(UserError, match=r"run\.json: is not a training's"):
        tuning.table([first], ["lr"])
    output = str(tmp_path / "x.csv")
    assert main(["tune", "--runs", str(tmp_path / "no.json"), "--output", output]) == 1
    error = capsys.readouterr().err
    assert "no.json: cannot be read" in error and error.count("\n") == 1
    (tmp_path / "bad.csv").write_text("trial,prop\nsarl,0.5\n")
    with pytest.raises(UserError, match=r"bad\.csv: is no table of trials"):
        tuning.read_tables([tmp_path / "bad.csv"])


def test_a_trainings_own_files_are_read(tmp_path):
    files = tiny.write_files(tmp_path / "files")
    for lr in (0.01, 0.1):
        folder = tmp_path / str(lr)
        assert run(files, folder, validation=0.4, epochs=2, lr=lr) == 0
    made = tuning.table([tmp_path / f"{lr}/run.json" for lr in (0.01, 0.1)], ["lr"])
    for trial in made:
        lines = (tmp_path / f"{trial.options['lr']}/history.csv").read_text().split()
        assert trial.found == float(lines[-1].rpartition(",")[2])
        assert (trial.validation, trial.seconds > 0) == (0.4, True)
    assert made[0].found >= made[1].found


def test_trials_must_be_comparable(runs, tmp_path):
    trials = tuning.read_tables(tables(runs, tmp_path))
    with pytest.raises(UserError, match=r"sarl\+lr=0.5 is not there once for each of"):
        tuning.choose(trials[:-3] + [t for t in trials[-3:] if "=0.5" not in t.name])
    other = tuning.table([write_run(tmp_path, "coop", 1.0, validation=0.3)], ["lr"])
    with pytest.raises(UserError, match="not of one proportion, seed and share"):
        tuning.write_recipes([*trials, *other], tmp_path / "recipes.yaml")
