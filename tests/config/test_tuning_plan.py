"""The trials of a tuning: valid, distinct, as many as wanted, always the same."""

import itertools
import re

import pytest
import yaml

from mlrpl.config import plan, tuning
from mlrpl.config.validation import validate
from mlrpl.errors import UserError

RATES, DECAYS, MARGINS = [0.001, 0.01, 0.1], [0, 0.05], [0.0, 0.05]
METHODS = {
    "coop": {"visual": "global", "prompts": "shared"},
    "sarl": {"prompts": "class_specific"},
    "linear_probe": {"head": "linear", "feature": "global"},
    "ssgrl": {"head": "ggnn", "loss": "p_bce", "recipe": "published"},
}
PUBLISHED = {"ssgrl": {"optimizer": "adam", "lr": 1e-5, "batch_size": 8}}


@pytest.fixture
def configured(repository):
    """Return the checked configuration with one tuning and a few methods."""
    base = yaml.safe_load((repository / "config.yaml").read_text())

    def checked(recipes=None, **entry):
        found = {"methods": list(METHODS), "search": {"lr": RATES}, **entry}
        base["recipes"] = recipes or {"published": PUBLISHED}
        changes = {"methods": METHODS, "experiments": {}, "titles": {}}
        return validate({**base, **changes, "tuning": found})

    return checked


def test_a_small_grid_is_tried_as_a_whole(configured):
    config = configured(search={"lr": RATES, "weight_decay": DECAYS})
    found = tuning.trials(config, "coop")
    chosen = [plan.method_options(config, name) for name in found]
    assert [(o["lr"], o["weight_decay"]) for o in chosen] == list(
        itertools.product(RATES, DECAYS)
    )
    assert all(o["validation"] == 0.2 for o in chosen)
    assert found[0] == "coop+lr=0.001+validation=0.2+weight_decay=0"
    assert all(plan.canonical(config, name) == name for name in found)


def test_what_does_not_apply_is_left_out_and_a_run_comes_once(configured):
    """The margin is one of P-ASL's, which the loss of `ssgrl` has no use for."""
    search = {"lr": RATES, "margin": MARGINS}
    settings = {"momentum": 0.5, "eval_every": 9}
    config = configured(search=search, settings=settings)
    assert len(tuning.trials(config, "sarl")) == 6
    found = [plan.method_options(config, n) for n in tuning.trials(config, "ssgrl")]
    assert [o["lr"] for o in found] == RATES
    for chosen in found:
        assert (
            not {"margin", "momentum"} & chosen.keys()
        )  # its recipe's optimiser: adam
        assert (chosen["eval_every"], chosen["batch_size"]) == (9, 8)
    others = [plan.method_options(config, n) for n in tuning.trials(config, "sarl")]
    assert {o["momentum"] for o in others} == {0.5}


def test_an_option_may_apply_to_some_points_alone(configured):
    searches = {"coop": {"optimizer": ["sgd", "adamw"], "momentum": [0, 0.9]}}
    config = configured(search={}, searches=searches)
    assert tuning.trials(config, "coop") == [
        "coop+momentum=0+validation=0.2",
        "coop+validation=0.2",
        "coop+optimizer=adamw+validation=0.2",
    ]
    assert tuning.trials(config, "sarl") == ["sarl+validation=0.2"]


def test_of_a_large_grid_a_part_is_drawn_from_seed_and_name(configured):
    search = {
        "lr": [10**-k for k in range(1, 6)],
        "weight_decay": [0, 0.01, 0.1],
        "clip_norm": [0, 1, 10],
    }
    drawn = {}
    for seed, trials in ((0, 7), (0, 12), (1, 7)):
        config = configured(search=search, trials=trials, seed=seed)
        for method in METHODS:
            names = drawn[seed, trials, method] = tuning.trials(config, method)
            assert len(set(names)) == trials
            assert names == tuning.trials(config, method)
            assert all(plan.canonical(config, name) == name for name in names)
    # A larger budget tries more; another seed or method, others.
    for method in METHODS:
        assert set(drawn[0, 7, method]) < set(drawn[0, 12, method])
        assert drawn[0, 7, method] != drawn[1, 7, method]
    overrides = [
        {name.partition("+")[2] for name in drawn[0, 7, method]}
        for method in ("coop", "sarl")
    ]
    assert overrides[0] != overrides[1]


def test_names_are_what_paths_allow(configured, repository):
    config = configured(search={"lr": [1e-5], "weight_decay": [1e-7, 0.5]})
    text = (repository / "workflow/rules/common/start.smk").read_text()
    [pattern] = [line for line in text.splitlines() if line.startswith("    method=r")]
    pattern = pattern.partition('r"')[2].removesuffix('",')
    for method in METHODS:
        for name in tuning.trials(config, method):
            assert re.fullmatch(pattern, name), name


def test_runs_are_of_the_tunings_proportion_and_seed(configured):
    config = configured(proportion=0.3, seed=4, search={"lr": [0.5]})
    assert config["tuning"]["datasets"] == ["coco2014", "voc2007"]
    assert tuning.runs(config, "voc2007", "coop") == [
        "voc2007/coop+lr=0.5+validation=0.2/prop=0.3/seed=4"
    ]


def test_a_recipe_has_all_that_its_trial_differs_in(configured):
    """It takes the place of the published one, and goes over an earlier `tuned`."""
    recipes = {
        "published": PUBLISHED,
        "tuned": {"coop": {"momentum": 0.3}, "ssgrl": {"clip_norm": 2}},
    }
    entry = {
        "search": {"weight_decay": DECAYS, "prompts": ["shared"]},
        "settings": {"epochs": 5, "eval_every": 5},
    }
    config = configured(recipes, **entry)
    assert tuning.recipe_options(config, "coop") == [
        "weight_decay",
        "epochs",
        "momentum",
    ]
    assert tuning.recipe_options(config, "ssgrl") == [
        *("weight_decay", "prompts"),
        *("batch_size", "clip_norm", "epochs", "lr", "optimizer"),
    ]
    # The method as configured, and the recipe of a trial, are the same training.
    for method in METHODS:
        trial = tuning.trials(config, method)[-1]
        chosen = plan.method_options(config, trial)
        names = tuning.recipe_options(config, method)
        recipe = {name: chosen[name] for name in names if name in chosen}
        after = {**config, "recipes": {"tuned": {method: recipe}}}
        after["methods"] = {method: {**METHODS[method], "recipe": "tuned"}}
        found = plan.method_options(after, method)
        for name in ("recipe", "validation", "eval_every"):
            del chosen[name], found[name]
        assert found == chosen


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"methods": ["moco"]}, "tuning.methods: unknown method moco; the methods are"),
        ({"datasets": ["voc"]}, "tuning.datasets: unknown data set voc"),
        ({"searches": {"moco": {}}}, "tuning.searches: unknown method moco"),
        (
            {"search": {"lrr": [1]}},
            "tuning.search: unknown option lrr; did you mean lr",
        ),
        ({"search": {"lr": ["fast"]}}, "tuning.search: lr: 'fast' is not allowed"),
        ({"search": {"lr": 0.1}}, "tuning.search.lr: 0.1 is not allowed; give a list"),
        ({"search": {"lr": []}}, "tuning.search.lr: empty"),
        (
            {"searches": {"sarl": {"lr": [-1]}}},
            "tuning.searches.sarl: lr: -1 is not allowed",
        ),
        (
            {"searches": {"sarl": {"prompts": ["shared"]}}},
            "tuning.searches.sarl.prompts: the method sets it itself",
        ),
        (
            {"search": {"validation": [0.1]}},
            "tuning.search.validation: cannot be searched",
        ),
        (
            {"settings": {"recipe": "tuned"}},
            "tuning.settings.recipe: cannot be set there",
        ),
        ({"settings": {"epochs": 0.5}}, "tuning.settings.epochs: 0.5 is not allowed"),
        (
            {"validation": 0},
            "tuning.validation: 0 is not allowed; give a number above 0",
        ),
        ({"trials": 0}, "tuning.trials: 0 is not allowed"),
        ({"trail": 3}, "tuning.trail: unknown key; did you mean trials"),
        (
            {"search": {"projection": ["clip"], "pooled": ["raw", "fused"]}},
            "projection: clip needs the raw map",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_mistake_is_one_line(configured, entry, said):
    with pytest.raises(UserError) as error:
        configured(**entry)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_off_is_the_default(repository):
    config = yaml.safe_load((repository / "config.yaml").read_text())
    config.pop("tuning", None)
    assert validate(config)["tuning"] is None
    assert validate({**config, "tuning": None})["tuning"] is None
