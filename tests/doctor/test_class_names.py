"""What the encoder's text side cannot do is found before anything is made."""

import json
from pathlib import Path

import open_clip
import pytest

from mlrpl.doctor.class_names import class_names, split_faults, text_faults
from support.doctor import load, small, write

CONFIG = open_clip.get_model_config("RN50-quickgelu")


def mine(classes=("cat", "dog"), **changes) -> dict:
    """An overlay with a data set whose CSV has these classes."""
    header = ",".join(f'"{name}"' for name in ("image", *classes))
    write("mine/l.csv", f"{header}\na.jpg{',1' * len(classes)}\n".encode())
    write("mine/a.jpg", b"")
    split = {"images": ".", "labels": "l.csv"}
    entry = {"format": "csv", "root": "mine", "splits": {"train": split, "test": split}}
    return small(datasets={"voc2007": None, "mine": {**entry, **changes}})


def faults(overlay: dict) -> list[str]:
    return text_faults(load(overlay), ["mine"])


def test_classes_are_those_of_the_table_or_of_voc():
    assert class_names(load(mine(("a", "b c"))), "mine") == ["a", "b c"]
    assert len(class_names(load(small()), "voc2007")) == 20
    assert faults(mine()) == []
    assert text_faults(load(small()), ["voc2007"]) == []


@pytest.mark.parametrize(
    ("classes", "fault"),
    {
        ("dog", "cat"): "class 1 is dog in test and cat in train; put them into one",
        ("cat",): "dog is a class of train and not of test (they have 2 and 1);",
        ("cat", "dog", "cow"): "cow is a class of test and not of train (they have 3",
    }.items(),
)
def test_splits_of_other_classes_are_told(classes, fault):
    overlay = mine()
    write("mine/t.csv", f"image,{','.join(classes)}\n".encode())
    overlay["datasets"]["mine"]["splits"]["test"] = {"images": ".", "labels": "t.csv"}
    [found] = split_faults(load(overlay), ["mine"])
    assert found.startswith(f"classes of mine test: {fault}")


def test_splits_of_the_same_classes_are_not():
    assert split_faults(load(mine()), ["mine"]) == []
    assert split_faults(load(small()), ["voc2007"]) == []


def test_the_classes_of_a_column_are_those_of_the_entry():
    overlay = mine(classes=("cat", "dog"))
    for split in overlay["datasets"]["mine"]["splits"].values():
        split["column"] = "tags"
    assert class_names(load(overlay), "mine") is None
    overlay["datasets"]["mine"]["classes"] = ["cow", "cat"]
    assert class_names(load(overlay), "mine") == ["cow", "cat"]


@pytest.mark.parametrize("key", ["names", "words"])
def test_a_class_that_is_none_is_named_by_its_key(key):
    assert faults(mine(**{key: {"catt": "cat"}})) == [
        f"config key datasets.mine.{key}: catt is not a class of the data set; the "
        "classes are cat, dog"
    ]


def test_a_text_longer_than_the_context_is_named():
    [fault] = faults(mine(names={"dog": "word " * 76}))
    assert fault.startswith("datasets.mine.names: 'word word ")
    assert "is 76 tokens long and the text tower reads 75" in fault
    assert faults(mine(names={"dog": "word " * 75})) == []
    [fault] = faults(mine(("cat", " ")))
    assert "has no word" in fault


MODELS = {
    "another tokenizer": ({"hf_tokenizer_name": "t5"}, "its tokenizer is Hugging"),
    "another tower": ({"hf_model_name": "t5"}, "hf_model_name is not supported"),
    "other tokens": ({"vocab_size": 32000}, "has 32000 token embeddings"),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_text_side_that_is_not_clips_is_named(name):
    change, expected = MODELS[name]
    model = {**CONFIG, "text_cfg": {**CONFIG["text_cfg"], **change}}
    Path("m.json").write_text(json.dumps(model))
    [fault] = faults({**mine(), "encoder": {"model": "m.json"}})
    assert fault.startswith("encoder model m.json: ") and expected in fault


def test_a_model_without_a_text_side_is_a_fault_of_its_file():
    Path("m.json").write_text(json.dumps({**CONFIG, "text_cfg": None}))
    assert faults({**mine(), "encoder": {"model": "m.json"}}) == []
