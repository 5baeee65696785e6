"""Recipes: named sets of options for methods, below their own and their overrides."""

import pytest
import yaml

from mlrpl.config import method_strings, plan
from mlrpl.config.validation import validate
from mlrpl.errors import UserError

BASE = {"lr": 0.002, "epochs": 100}
METHODS = {
    "plain": {"visual": "global"},
    "rated": {"loss": "p_bce", "recipe": "published"},
}
RECIPES = {
    "published": {"rated": {"lr": 1e-5, "epochs": 20, "optimizer": "adam"}},
    "tuned": {"rated": {"lr": 0.01}, "plain": {"lr": 0.03}},
}


@pytest.fixture
def paper(repository):
    config = yaml.safe_load((repository / "config.yaml").read_text())
    config["recipes"] = {}
    for method in config["methods"].values():
        method.pop("recipe", None)
    return config


def resolve(method):
    return method_strings.resolve(method, BASE, METHODS, RECIPES)


def canonical(method):
    return method_strings.canonical(method, BASE, METHODS, RECIPES)


def test_a_recipe_goes_over_the_shared_options_and_under_an_override():
    found = resolve("rated")
    assert (found["lr"], found["epochs"], found["optimizer"]) == (1e-5, 20, "adam")
    assert (found["loss"], found["recipe"]) == ("p_bce", "published")
    assert resolve("rated+lr=0.5")["lr"] == 0.5
    assert resolve("rated+lr=0.5")["epochs"] == 20


def test_a_recipe_is_changed_in_a_methods_name():
    found = resolve("rated+recipe=tuned")
    assert (found["lr"], found["epochs"], found["optimizer"]) == (0.01, 100, "sgd")
    assert resolve("rated+recipe=none")["lr"] == 0.002
    assert resolve("plain+recipe=tuned")["lr"] == 0.03
    assert resolve("plain")["recipe"] == "none"


def test_one_run_has_one_name():
    assert canonical("rated+recipe=published") == "rated"
    assert canonical("rated+lr=1e-5") == "rated"
    assert canonical("rated+lr=0.01+recipe=tuned") == "rated+recipe=tuned"
    assert canonical("rated+recipe=tuned+lr=1e-5") == "rated+lr=1e-05+recipe=tuned"
    # The shared rate, but not this recipe's.
    assert canonical("rated+lr=0.002") == "rated+lr=0.002"
    for name in ("rated+lr=1e-05+recipe=tuned", "plain+recipe=tuned"):
        assert canonical(name) == name


def test_a_recipe_that_a_method_does_not_have_is_one_line():
    with pytest.raises(UserError, match=r"plain has no recipe published; it is given"):
        resolve("plain+recipe=published")
    with pytest.raises(UserError, match="no method has one"):
        method_strings.resolve("plain+recipe=tuned", BASE, METHODS)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"nobody": {"lr": 1}}, "recipes.tuned.nobody: unknown method"),
        ({"sarl": {"lr": "fast"}}, "recipes.tuned.sarl.lr: 'fast' is text"),
        ({"sarl": {"memory_size": 3}}, "memory_size has no effect here"),
        ({"sarl": {"visual": "global"}}, "visual: methods.sarl sets it too"),
    ],
)
def test_a_wrong_recipe_is_refused_before_anything_runs(paper, change, said):
    config = {**paper, "recipes": {"tuned": change}}
    with pytest.raises(UserError, match=said) as caught:
        validate(config)
    assert "\n" not in str(caught.value)


def test_the_plan_takes_them_from_the_configuration(paper):
    found = validate({**paper, "recipes": {"tuned": {"sarl": {"lr": 0.01}}}})
    assert plan.method_options(found, "sarl+recipe=tuned")["lr"] == 0.01
    assert plan.canonical(found, "sarl+recipe=tuned") == "sarl+recipe=tuned"
