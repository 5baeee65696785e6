"""What runs took: added up by hand, with runs that do not say all of it."""

import csv
import json

import pytest

from mlrpl.__main__ import main


@pytest.fixture
def runs(tmp_path):
    """Three runs on a GPU, and an older one on a CPU that knows its seconds alone."""
    contents = [
        ("sarl", 0, 1800, 2e9, 8e9, 7.2e5, "A card"),
        ("sarl", 1, 3600, 3e9, 9e9, 3.6e6, "A card"),
        ("coop", 0, 900, 1e9, 4e9, None, "A card"),
    ]
    for method, seed, seconds, host, device, energy, card in contents:
        folder = tmp_path / f"runs/coco2014/{method}/prop=0.1/seed={seed}"
        folder.mkdir(parents=True)
        run = {"dataset": "coco2014", "method": method, "device": card}
        run["seconds"] = {"load": 36.0, "train": seconds - 36.0}
        run["memory"] = {"host": host, "device": device}
        run["energy"] = {"gpu": energy}
        (folder / "run.json").write_text(json.dumps(run))
    folder = tmp_path / "runs/voc2007/coop/prop=0.1/seed=0"
    folder.mkdir(parents=True)
    run = {"dataset": "voc2007", "method": "coop", "device": "cpu"}
    run["seconds"] = {"load": 0.0, "train": 360.0}
    (folder / "run.json").write_text(json.dumps(run))
    return tmp_path / "runs"


def test_runs_are_added_up(runs, tmp_path, capsys):
    assert main(["cost", str(runs), "--output", str(tmp_path / "cost")]) == 0
    with (tmp_path / "cost.csv").open() as file:
        rows = {(r["dataset"], r["method"]): r for r in csv.DictReader(file)}
    sarl = rows["coco2014", "sarl"]
    assert (sarl["runs"], float(sarl["hours"])) == ("2", 1.5)
    assert float(sarl["host_gb"]) == 3 and float(sarl["device_gb"]) == 9
    assert float(sarl["kwh"]) == pytest.approx(1.2) and sarl["metered"] == "2"
    voc = rows["voc2007", "coop"]
    assert (voc["host_gb"], voc["device_gb"], voc["kwh"]) == ("", "", "")
    total = rows["all", "all"]
    assert float(total["hours"]) == pytest.approx(1.5 + 0.25 + 0.1)
    assert (total["runs"], total["metered"]) == ("4", "2")
    said = capsys.readouterr().out
    assert said == (tmp_path / "cost.md").read_text()
    assert "The energy of 2 of 4 runs is known" in said and "On A card, cpu." in said
    assert "| all | all | 4 | 1.85 | 3.00 GB | 9.00 GB | 1.200 kWh |" in said


@pytest.mark.parametrize(
    "text", ["{", "{}", '{"dataset": 1, "method": 2, "seconds": 3}']
)
def test_a_damaged_file_is_named(runs, tmp_path, capsys, text):
    path = runs / "voc2007/coop/prop=0.1/seed=0/run.json"
    path.write_text(text)
    assert main(["cost", str(runs), "--output", str(tmp_path / "cost")]) == 1
    error = capsys.readouterr().err
    assert f"{path}: is not a training's" in error and error.count("\n") == 1
    assert not (tmp_path / "cost.csv").exists()


def test_a_folder_without_runs_is_one_line(tmp_path, capsys):
    assert main(["cost", str(tmp_path), "--output", str(tmp_path / "cost")]) == 1
    assert "there are none; give the run.json of some runs" in capsys.readouterr().err
