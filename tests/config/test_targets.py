"""What is said of a target that nothing makes."""

import pytest

from mlrpl.config import targets
from mlrpl.config import validation as configuration
from mlrpl.errors import UserError

RUN = "results/runs/voc2007/sarl/prop=0.5/seed=0/metrics.json"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("tabels", "tabels: nothing makes it; did you mean tables?"),
        ("results/tables/table5.csv", "did you mean results/tables/table4.csv?"),
        ("nonsense", "nothing makes it; `snakemake --list` shows the rules"),
        (RUN.replace("voc2007", "voc2007x"), "unknown data set voc2007x; did you mean"),
        (
            RUN.replace("voc2007", "xyz"),
            "unknown data set xyz; there are coco2014",
        ),
        (
            RUN.replace("seed=0/", ""),
            "is not a file of a run; write {dataset}/",
        ),
        (RUN.replace("sarl", "sral"), "unknown method sral; did you mean sarl?"),
        (RUN.replace("0.5", "half"), "prop=half is not a proportion"),
        (RUN.replace("0.5", "1.5"), "prop=1.5 is not a proportion"),
        (RUN.replace("0.5", "0"), "prop=0 is not a proportion"),
        (RUN.replace("0.5", "nan"), "prop=nan is not a proportion"),
        (RUN.replace("0.5", "1"), f"ask for {RUN.replace('0.5', '1.0')}"),
        (RUN.replace("0.5", ".50"), f"prop=.50 is prop=0.5 in paths; ask for {RUN}"),
        (RUN.replace("seed=0", "seed=x"), "seed=x is not a seed"),
        (RUN.replace("seed=0", "seed=01"), "seed=01 is not a seed"),
        (RUN + "l", "a run has no file metrics.jsonl; did you mean metrics.json?"),
    ],
)
def test_the_wrong_part_is_named(paper, target, said):
    config = configuration.validate(paper)
    known = ["all", "tables", "figures", "results/tables/table4.csv"]
    with pytest.raises(UserError) as error:
        targets.explain(target, config, known)
    assert str(error.value).startswith(f"{target}: ") and said in str(error.value)


class Rule:
    """What is read of one of Snakemake's."""

    def __init__(self, name, *products):
        self.name = name
        self._products = products

    def products(self):
        return self._products

    def has_wildcards(self):
        return any("{" in path for path in self._products)

    def is_producer(self, path):
        return path in self._products or (self.has_wildcards() and path.endswith(".h5"))


RULES = [Rule("all"), Rule("table2", "t/table2.csv"), Rule("index", "{split}.h5")]


def test_what_is_made_or_there_is_no_mistake(tmp_path):
    there = tmp_path / "there.txt"
    there.write_text("")
    asked = ["all", "t/table2.csv", "train.h5", str(there), "tabel2", "t/table3.csv"]
    assert targets.unmade(asked, iter(RULES)) == ["tabel2", "t/table3.csv"]


def test_what_may_be_meant_has_no_wildcards():
    assert sorted(targets.known(iter(RULES))) == [
        *("all", "index", "t/table2.csv", "table2")
    ]
