"""Texts of classes from the configuration through a shell to a command."""

import argparse
import shlex

import pytest

from mlrpl.commands import class_texts
from mlrpl.config import arguments
from mlrpl.errors import UserError


@pytest.mark.parametrize(
    "names",
    [
        {"tvmonitor": "tv monitor", "cat": "a = b"},
        {"pH=7": "acid", "-x": "minus", "cat": "cat"},
        {"--names": "x", "it's {a}": '"quoted" text', "=": "equals"},
        {"{cat": "brace", "é": "ü\\n"},
    ],
)
def test_any_class_can_be_given_a_text(names):
    parser = argparse.ArgumentParser()
    class_texts.add_argument(parser, "--names", "CLASS=TEXT", "help")
    parser.add_argument("--next")
    words = shlex.split(arguments.flags({"names": names, "next": "-1 x"}))
    found = parser.parse_args(words)
    assert class_texts.parse(found.names, "--names", "CLASS=TEXT") == names
    assert found.next == "-1 x"


def test_a_list_with_a_text_like_a_flag_is_given_one_by_one():
    parser = argparse.ArgumentParser()
    parser.add_argument("--classes", nargs="+", action="extend")
    parser.add_argument("--select")
    values = {"classes": ["-x", "a b", "--select"], "select": "--classes"}
    found = parser.parse_args(shlex.split(arguments.flags(values)))
    assert vars(found) == values


def test_ordinary_texts_are_given_as_before():
    values = {"names": {"b": "c d", "a": "b"}, "url": ["x", "y"], "keep": "all"}
    assert arguments.flags(values) == "--names a=b 'b=c d' --url x y --keep all"


@pytest.mark.parametrize(
    "text", ["{", '{"a": 1}', '{"a": ""}', '{"": "a"}', '{"a": "b", "a": "c"}']
)
def test_json_that_gives_no_text_to_a_class_is_one_line(text):
    with pytest.raises(UserError, match=r"^--names: .+; ") as error:
        class_texts.parse([text], "--names", "CLASS=TEXT")
    assert "\n" not in str(error.value)
