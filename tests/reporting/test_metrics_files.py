"""metrics.json with values that are no numbers of a run are not collected."""

import json

import pytest

from mlrpl.__main__ import main
from mlrpl.errors import UserError
from mlrpl.reporting import results
from support.synthetic_metrics import write_run

WRONG = {
    "no number": (("last", "mAP"), float("nan")),
    "endless": (("best", "OF1"), float("inf")),
    "more than all": (("last", "mAP"), 250),
    "below nothing": (("last", "CP"), -1),
    "text": (("last", "mAP"), "70"),
    "truth": (("last", "mAP"), True),
    "list": (("best", "mAP"), [70]),
    "null": (("last", "CF1_top3"), None),
    "epoch of text": (("last", "epoch"), "20"),
    "half an epoch": (("best", "epoch"), 1.5),
    "share above one": (("prop",), 1.5),
    "share of text": (("prop",), "0.5"),
    "seed of text": (("seed",), "0"),
    "seed below nothing": (("seed",), -1),
    "method of a number": (("method",), 3),
    "data set of null": (("dataset",), None),
    "block of null": (("last",), None),
    "block of a list": (("best",), []),
    "classes of null": (("per_class_ap",), None),
    "classes of a list": (("per_class_ap", "last"), []),
    "class of text": (("per_class_ap", "last", "zebra"), "80"),
    "class above all": (("per_class_ap", "best", "zebra"), 101),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_value_that_is_none_is_named(tmp_path, capsys, name):
    keys, value = WRONG[name]
    path = write_run(tmp_path, "sarl", 0.5, 0, 70.0)
    content = json.loads(path.read_text())
    place = content
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    path.write_text(json.dumps(content))
    with pytest.raises(UserError) as error:
        results.load_metrics([path])
    said = str(error.value)
    assert said.startswith(f"{path}: ") and keys[-1] in said
    assert said.endswith("; make the file with mlrpl evaluate")
    assert main(["collect", str(path), "--output", str(tmp_path / "m.csv")]) == 1
    assert capsys.readouterr().err == f"mlrpl collect: error: {said}\n"
    assert not (tmp_path / "m.csv").exists()


def test_all_of_a_hundred_with_a_rounding_error_is_taken(tmp_path):
    path = write_run(tmp_path, "sarl", 0.5, 0, 100.00000000000003)
    assert results.load_metrics([path])["mAP"].max() == 100.00000000000003
