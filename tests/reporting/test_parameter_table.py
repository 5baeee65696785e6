"""Parameter counts of the paper's readings: by layers, by the methods, by hand."""

import re

import pytest
import yaml

from mlrpl.__main__ import main
from mlrpl.config import plan
from mlrpl.config.validation import validate
from mlrpl.reporting.method_table import SIZES, trained
from mlrpl.reporting.parameter_table import READINGS, layers

# Added up by hand from the layers' sizes.
EXPECTED = [
    (4_635_137, 4_143_617),
    (3_987_969, 3_987_969),
    (5_159_425, 4_667_905),
    (4_799_057, 4_184_597),
    (4_852_225, 4_360_705),
    (5_376_513, 4_884_993),
    (4_729_345, 4_729_345),
    (4_721_153, 4_721_153),
    (4_220_417, 3_728_897),
    (5_685_761, 5_194_241),
]


@pytest.fixture(scope="module")
def config(repository):
    return validate(yaml.safe_load((repository / "config.yaml").read_text()))


def test_layers_add_up(config):
    found = [
        tuple(layers(r, classes) for classes, _ in SIZES.values()) for r in READINGS
    ]
    assert found == EXPECTED


def test_readings_that_are_methods_are_counted_on_them(config):
    runs = [reading for reading in READINGS if reading.method]
    assert [reading.method for reading in runs] == [
        "sarl",
        "coop_sd",
        "sarl+pooled=raw",
    ]
    for reading in runs:
        options = plan.method_options(config, reading.method)
        for dataset, (classes, _) in SIZES.items():
            assert trained(options, dataset) == layers(reading, classes)


def test_the_page_has_the_commands_table(repository, capsys):
    assert main(["methods", "--parameters"]) == 0
    printed = capsys.readouterr().out.strip()
    page = (repository / "docs/parameters.md").read_text()
    [block] = re.findall(
        r"<!-- mlrpl methods --parameters -->\n(.*?)\n<!-- end -->", page, re.DOTALL
    )
    assert block == printed
    first = printed.splitlines()[2]
    assert "4,799,057 / 4,184,597" in first and "-0.0% / -12.8%" in first
