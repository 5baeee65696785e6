"""The table of methods: counts, facts, references, and the copy in docs/."""

import re

import pytest
import yaml

from mlrpl.__main__ import main
from mlrpl.config import files, plan
from mlrpl.config.validation import validate
from mlrpl.errors import UserError
from mlrpl.reporting import method_table
from support.tables import PUBLISHED

# COCO and VOC, counted by hand from the layers of the public code: matrices and biases.
GRAPH = 3 * (2 * 1024 + 1024) * 1024 + 6 * 1024
REDUCED = 2048 * 1024 + 2 * 1024
ATTENTION = 1024 * 512 + 300 * 512 + 512 * 512 + 512 + 512 + 1
OUTPUT = 2 * 1024 * 1024 + 1024
SSGRL = {c: REDUCED + ATTENTION + GRAPH + OUTPUT + c * 1025 for c in (80, 20)}
PAIRS = {c: c * (c - 1) // 2 for c in (80, 20)}
PAIR_NETWORK = {
    c: 1024 * 512 + 512 + 2 * (1024 * 1024 + 1024) + n * 1025 for c, n in PAIRS.items()
}
EXPECTED = {
    "ssgrl": SSGRL,
    "gcn_ml": dict.fromkeys((80, 20), 300 * 1024 + 1024 * 2048),
    "kggr": {c: count + GRAPH + OUTPUT for c, count in SSGRL.items()},
    "sst": {c: count + PAIR_NETWORK[c] for c, count in SSGRL.items()},
    "hst": {c: count + PAIR_NETWORK[c] + 2 for c, count in SSGRL.items()},
    "sarb": {c: count + 2 for c, count in SSGRL.items()},
    "dsrb": {c: count + 2 for c, count in SSGRL.items()},
}
# Vectors of 512 for each class, and numbers besides.
PROMPTED = {
    "dualcoop": (2 * 16, 0),
    "dualcoop_pp": (3 * 21, 1),
    "tai_dpt": (2 * 16, 2),
    "positive_coop": (16 + 2, 0),
}
# What a reader of the public code counts on it.
PUBLISHED_COUNTS = {
    "ssgrl": (14_663_761, 14_602_261),
    "gcn_ml": (2_404_352, 2_404_352),
    "kggr": (26_205_265, 26_143_765),
    "sst": (20_526_761, 17_421_011),
    "hst": (20_526_763, 17_421_013),
    "sarb": (14_663_763, 14_602_263),
    "dsrb": (14_663_763, 14_602_263),
}


@pytest.fixture(scope="module")
def config(repository):
    return validate(files.load_config(base=repository / "config.yaml"))


@pytest.fixture(scope="module")
def markdown(config):
    return method_table.to_markdown(config)


def cells_of(markdown):
    lines = [line.strip("|").split("|") for line in markdown.splitlines()]
    head, _, *rows = [[cell.strip() for cell in line] for line in lines]
    names = [re.search(r"`(\w+)`", row[0]).group(1) for row in rows]
    return head, dict(zip(names, rows, strict=True))


@pytest.mark.parametrize("name", EXPECTED)
def test_trained_parameters_are_those_of_the_public_code(config, name):
    options = plan.method_options(config, name)
    found = tuple(method_table.trained(options, data) for data in method_table.SIZES)
    assert found == tuple(EXPECTED[name].values()) == PUBLISHED_COUNTS[name]


@pytest.mark.parametrize("name", PROMPTED)
def test_prompts_are_as_many_as_in_the_public_code(config, name):
    vectors, more = PROMPTED[name]
    options = plan.method_options(config, name)
    found = [method_table.trained(options, data) for data in method_table.SIZES]
    assert found == [classes * vectors * 512 + more for classes in (80, 20)]


def test_every_configured_method_has_a_row(config, markdown):
    head, rows = cells_of(markdown)
    assert list(rows) == list(config["methods"])
    assert {len(row) for row in rows.values()} == {len(head)}
    assert rows["sst"][:5] == [
        *("SST (`sst`)", "`ggnn`, `sst`, `p_bce`", "Chen et al., AAAI 2022"),
        *("words, graph", "20,526,761 / 17,421,011"),
    ]
    assert rows["sarl"][4] == "4,635,137 / 4,143,617"
    assert rows["hst"][6].startswith(
        "[HCP-MLR-PL](https://github.com/HCPLab-SYSU/HCP-MLR-PL/tree/d9fd300): "
    )


def test_the_page_has_the_commands_table(repository, markdown, monkeypatch, capsys):
    monkeypatch.chdir(repository)
    assert main(["methods"]) == 0
    printed = capsys.readouterr().out
    assert printed == markdown + "\n"
    text = (repository / "docs/methods.md").read_text()
    block = text.split("<!-- mlrpl methods -->\n")[1].split("<!-- end -->")[0]
    assert block.strip("\n") == markdown


def test_a_method_without_an_entry_has_a_row(config):
    own = {"mine": {"head": "linear", "loss": "p_bce"}}
    _, rows = cells_of(method_table.to_markdown({**config, "methods": own}))
    assert rows == {
        "mine": [
            *("`mine`", "`linear`, `none`, `p_bce`", "", "", "41,040 / 10,260"),
            *("", ""),
        ]
    }


def references():
    text = (PUBLISHED / "references.bib").read_text()
    entries = re.findall(r"^@\w+\{(\w+),\n(.*?)^\}", text, re.M | re.S)
    assert len(entries) == text.count("\n@") == len(dict(entries))
    return {
        key: dict(re.findall(r"(\w+)\s*= \{(.*?)\},\n", body, re.S))
        for key, body in entries
    }


def test_every_fact_is_of_a_configured_method_and_its_reference(config):
    facts, bibliography = method_table.load_facts(), references()
    assert set(facts) == set(config["methods"])
    for name, entry in facts.items():
        reference = bibliography[entry["key"]]
        surname = reference["author"].split(",")[0]
        assert entry["paper"].startswith(f"{surname} et al.,"), name
        assert reference["year"] in entry["paper"], name
        assert set(entry["uses"]) <= {"text", "words", "graph"}
        for code in entry["code"]:
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{7}", code)
    wanted = {"add_gcn", "clip", "coop", "sarl", *EXPECTED}
    assert wanted <= set(bibliography)
    # Only the two that the paper's list prints.
    assert {key for key in bibliography if "doi" in bibliography[key]} == {
        *("kggr", "dsrb")
    }


def test_what_a_method_uses_is_what_its_parts_take(config):
    """`graph` is co-occurrence, `words` GloVe's vectors, `text` CLIP's text tower."""
    facts = method_table.load_facts()
    for name, entry in facts.items():
        options = plan.method_options(config, name)
        graph = options["head"] in ("ggnn", "kggr", "gcn")
        text = "prompts" in options
        words = graph or options.get("visual") == "semantic_decoupling"
        assert set(entry["uses"]) == {
            word
            for word, used in (("text", text), ("words", words), ("graph", graph))
            if used
        }, name


def test_differences_name_options_that_there_are(config):
    for name, entry in method_table.load_facts().items():
        for override in re.findall(r"`(\w+=\w+)`", entry["differs"]):
            changed = plan.canonical(config, f"{name}+{override}")
            assert changed == f"{name}+{override}", "it is the default already"


def test_the_named_oracles_are_read_by_tests(repository):
    tests = "".join(
        path.read_text() for path in (repository / "tests/methods").glob("test_*.py")
    )
    for entry in method_table.load_facts().values():
        for oracle in entry["oracles"]:
            assert f'"{oracle}"' in tests, oracle
        assert bool(entry["oracles"]) == ("public code" in entry["checked"])


def test_the_named_oracles_are_there(oracles):
    for entry in method_table.load_facts().values():
        for oracle in entry["oracles"]:
            assert (oracles / f"methods/{oracle}.npz").is_file()


@pytest.mark.parametrize(
    ("text", "said"),
    [("a: [", "cannot be read"), ("coop: {paper: Zhou}", "coop: its keys are not")],
)
def test_a_wrong_file_of_facts_is_one_line(tmp_path, text, said):
    (tmp_path / "methods.yaml").write_text(text)
    with pytest.raises(UserError, match=said) as caught:
        method_table.load_facts(tmp_path / "methods.yaml")
    assert "\n" not in str(caught.value)


def test_facts_are_text_and_lists_of_text():
    for entry in yaml.safe_load(method_table.FACTS.read_text()).values():
        for key, value in entry.items():
            kind = list if key in ("uses", "code", "oracles") else str
            if key == "printed":
                kind = str | None
            assert isinstance(value, kind), key
            assert "|" not in str(value) and "\n" not in str(value)
