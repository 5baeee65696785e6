"""Values that YAML may hold and the configuration may not; what is one line instead."""

import datetime

import pytest
import yaml

from mlrpl.config import files
from mlrpl.config import validation as configuration
from mlrpl.errors import UserError
from support.configs import MINE, Only, merged

MISTAKES = {
    "text for a switched off experiment": (
        "experiments: {figure7: None}",
        "experiments.figure7: 'None' is text; give a mapping or null",
    ),
    "text for a switched off data set": (
        "datasets: {voc2007: no one}",
        "datasets.voc2007: 'no one' is text; give a mapping or null",
    ),
    "data set called by a number": (
        {"datasets": {1999: MINE}},
        'datasets.1999: YAML reads this name as a number; write "1999"',
    ),
    "method called by a number": (
        "methods: {3.5: {}}",
        'methods.3.5: YAML reads this name as a number; write "3.5"',
    ),
    "title of a number": (
        "titles: {8: Eight}",
        'titles.8: YAML reads this name as a number; write "8"',
    ),
    "class called by a truth": (
        "datasets: {voc2007: {names: {on: switch, cat: cat}}}",
        "datasets.voc2007.names.True: YAML reads this name as true or false",
    ),
    "class called by a day": (
        {"datasets": {"voc2007": {"words": {datetime.date(2020, 1, 2): "day"}}}},
        "words.2020-01-02: YAML reads this name as a date",
    ),
    "name with a line break": ({"titles": {"a\nb": "x"}}, "line break"),
    "title that is a number": (
        "datasets: {voc2007: {title: 2007}}",
        "datasets.voc2007.title: 2007 is not allowed, as YAML reads it as a number",
    ),
    "rate that is no number": ("options: {lr: .nan}", "options.lr: nan is no number"),
    "endless rate": ("options: {lr: .inf}", "options.lr: inf is no number"),
    "share that is no number": (
        "proportions: [0.5, .nan]",
        "proportions.1: nan is no number",
    ),
    "value to try that is no number": (
        "tuning: {methods: [sarl], search: {lr: [.nan]}}",
        "tuning.search.lr.0: nan is no number",
    ),
    "number of a thousand digits": (
        {"options": {"epochs": 16**900}},
        "options.epochs: is a number of more than 18 digits",
    ),
    "printed numbers of nobody": (
        {"datasets": {"mine": {**MINE, "published": "coco2017"}}},
        "datasets.mine.published: no number is printed for 'coco2017'; give one of "
        "coco2014, voc2007, or null",
    ),
    "address of this machine": (
        {"glove": {"url": ["file:///data/glove.zip"]}},
        "glove.url.0: file:///data/glove.zip is not allowed; give text matching ^http",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_is_one_line_that_names_the_key(paper, name):
    over, expected = MISTAKES[name]
    over = yaml.safe_load(over) if isinstance(over, str) else over
    with pytest.raises(UserError) as error:
        configuration.validate(merged(paper, over))
    message = str(error.value)
    assert message.startswith("config key ")
    assert expected in message
    assert "\n" not in message


def test_nesting_has_an_end(paper):
    deep: dict = {}
    for _ in range(500):
        deep = {"a": deep}
    with pytest.raises(UserError, match="nested too deeply"):
        configuration.validate({**paper, "titles": deep})


def test_whole_numbers_with_a_point_are_whole(paper):
    over = {"datasets": {"voc2007": {"splits": {"train": {"shards": 4.0}}}}}
    over |= {"seeds": [0.0, 3.0], "threads": {"train": 2.0}}
    found = configuration.validate(merged(paper, over))
    shards = found["datasets"]["voc2007"]["splits"]["train"]["shards"]
    values = [shards, found["seeds"][1], found["threads"]["train"]]
    assert [repr(value) for value in values] == ["4", "3", "2"]
    assert found["experiments"]["figure4"]["seeds"] == paper["experiments"][
        "figure4"
    ].get("seeds", [0, 3])


def test_vectors_of_ones_own_have_no_hash_of_the_published_ones(paper):
    own = configuration.validate(merged(paper, {"glove": {"root": "v", "file": "v.t"}}))
    assert not own["glove"].keys() & {"sha256", "md5", "size"}
    named = {"root": "v", "file": "v.txt", "sha256": "0" * 64, "size": None}
    own = configuration.validate(merged(paper, {"glove": named}))
    assert (own["glove"]["sha256"], own["glove"].get("size")) == ("0" * 64, None)
    same = configuration.validate(merged(paper, {"glove": {"root": "v"}}))
    assert same["glove"]["size"] == paper["glove"]["size"]
    fetched = Only({**paper["glove"], "file": "renamed.zip"})
    assert configuration.validate({**paper, "glove": fetched})["glove"]["size"]


UNREADABLE = {
    "twice": (
        "seeds: [0]\nlogs: l\nseeds: [1]\n",
        "seeds stands twice, in lines 1 and",
    ),
    "twice below": ("options: {lr: 1, lr: 2}", "the key lr stands twice"),
    "deep": ("a: " + "[" * 9000, "nested too deeply"),
    "itself": ("logs: &a {b: *a}", "nested too deeply"),
    "no time": ("logs: !!timestamp x", "is not YAML"),
    "day": ("logs: 2020-13-45", "is not YAML"),
    "digits": ("seeds: [" + "9" * 5000 + "]", "is not YAML"),
    "tag": ("logs: !!python/object/apply:os.system [touch pwned]", "is not YAML"),
    "bytes": (b"logs: \xff\xfe", "is not UTF-8"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_file_that_cannot_be_taken_is_named(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    text, expected = UNREADABLE[name]
    data = text if isinstance(text, bytes) else text.encode()
    (tmp_path / "mine.yaml").write_bytes(data)
    with pytest.raises(UserError, match=r"^mine\.yaml: ") as error:
        files.read("mine.yaml")
    assert expected in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


def test_aliases_that_multiply_take_no_time(tmp_path, paper):
    lines = [
        "a0: &a0 [x, x]",
        *(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 39)),
    ]
    (tmp_path / "c.yaml").write_text("\n".join(lines))
    content = files.read(tmp_path / "c.yaml")
    with pytest.raises(UserError, match="config key a0: unknown key"):
        configuration.validate({**paper, "a0": content["a38"]})


def test_json_is_read_as_snakemake_reads_it(tmp_path):
    (tmp_path / "c.json").write_text('{\n\t"logs": "l",\n\t"seeds": [0, 1]\n}')
    assert files.read(tmp_path / "c.json") == {"logs": "l", "seeds": [0, 1]}
    (tmp_path / "c.json").write_text('{"logs": "l", "logs": "m"}')
    with pytest.raises(UserError, match="the key logs stands twice; keep one"):
        files.read(tmp_path / "c.json")


def test_a_merge_key_is_no_key_twice(tmp_path):
    (tmp_path / "c.yaml").write_text("a: &x {lr: 1}\nb: {<<: *x, lr: 2}\nc: {<<: *x}\n")
    assert files.read(tmp_path / "c.yaml")["b"] == {"lr": 2}
