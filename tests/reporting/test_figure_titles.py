"""Titles with signs of a formula are drawn as they are."""

import json

import pytest

from mlrpl.__main__ import main
from support.synthetic_metrics import write_run


@pytest.mark.parametrize("text", ["US$_$", "a $x_{$ b", r"5 $ \frac", "$$", "%#&_^~{}"])
def test_a_title_is_no_formula(tmp_path, text):
    paths = [write_run(tmp_path, "sarl", p, 0, 70.0) for p in (0.1, 0.5)]
    spec = {
        "kind": "curve",
        "title": text,
        "x": "prop",
        "hue": "method",
        "datasets": [{"name": "coco2014", "title": text}],
        "methods": [{"name": "sarl", "title": text}],
        "proportions": [0.1, 0.5],
    }
    arguments = ["--spec", json.dumps(spec), "--output", str(tmp_path / "f")]
    assert main(["figure", *arguments, "--metrics", *map(str, paths)]) == 0
    assert (tmp_path / "f.png").stat().st_size > 1000
