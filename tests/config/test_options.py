import dataclasses

import pytest

from mlrpl.config.options import Options, canonical, check, load_schema, resolve
from mlrpl.errors import UserError

METHODS = {
    "coop": {"visual": "global", "prompts": "shared"},
    "sarl": {},
    "slow": {"lr": 0.0001},
}


def test_dataclass_and_schema_list_the_same_options():
    fields = {field.name for field in dataclasses.fields(Options)}
    assert fields == set(load_schema()["properties"])


def test_every_option_has_a_description_and_a_default_of_its_own_type():
    for name, spec in load_schema()["properties"].items():
        assert len(spec["description"]) > 10, name
        check({name: spec["default"]})


def test_the_defaults_are_the_papers_values():
    options = Options.from_dict({})
    assert (options.gamma_neg, options.gamma_pos, options.margin) == (2, 1, 0.05)
    assert (options.lr, options.warmup_lr, options.warmup_epochs) == (0.002, 0.0005, 1)
    assert (options.batch_size, options.epochs, options.n_ctx) == (64, 100, 16)
    assert options.joint_dim == 1024


def test_precedence_is_override_method_config_schema():
    assert resolve("slow", {"lr": 0.5}, METHODS)["lr"] == 0.0001
    assert resolve("slow+lr=0.25", {"lr": 0.5}, METHODS)["lr"] == 0.25
    assert resolve("sarl", {"lr": 0.5}, METHODS)["lr"] == 0.5
    assert resolve("sarl", {}, METHODS)["lr"] == 0.002
    assert list(resolve("sarl", {}, METHODS)) == sorted(resolve("sarl", {}, METHODS))


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("sarl+gamma_pos=1", "sarl"),
        ("sarl+gamma_pos=1.0", "sarl"),
        ("sarl+lr=1e-4+gamma_neg=4.0", "sarl+gamma_neg=4+lr=0.0001"),
        ("slow+lr=1e-4", "slow"),
        ("coop+visual=semantic_decoupling", "coop+visual=semantic_decoupling"),
        ("sarl+detach=false", "sarl+detach=false"),
        ("sarl+context_init=a_photo_of_a", "sarl+context_init=a_photo_of_a"),
        ("sarl+scale=clip", "sarl"),
        ("sarl+scale=20", "sarl+scale=20"),
    ],
)
def test_canonical_names(method, expected):
    assert canonical(method, {}, METHODS) == expected
    assert canonical(expected, {}, METHODS) == expected
    assert resolve(method, {}, METHODS) == resolve(expected, {}, METHODS)


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("srl", ["unknown method srl", "sarl"]),
        ("sarl+gama_neg=1", ["unknown option gama_neg", "gamma_neg"]),
        ("sarl+gamma_neg=-1", ["gamma_neg", "-1", "from 0 to 20"]),
        ("sarl+gamma_neg=many", ["gamma_neg", "many", "a number"]),
        ("sarl+lr=nan", ["lr", "nan"]),
        ("sarl+epochs=1.5", ["epochs", "1.5", "whole number"]),
        ("sarl+detach=1", ["detach", "true or false"]),
        ("sarl+lr", ["'lr'", "+option=value"]),
        ("sarl+lr=1+lr=2", ["lr is set twice"]),
        ("sarl+projection=clip", ["pooled", "raw"]),
    ],
)
def test_bad_methods_get_one_line(method, words):
    with pytest.raises(UserError) as error:
        canonical(method, {}, METHODS)
    assert "\n" not in str(error.value)
    assert all(word in str(error.value) for word in [method, *words])


def test_a_number_that_yaml_reads_as_text_is_explained():
    with pytest.raises(UserError, match=r"lr: '1e-4' .*1\.0e-4"):
        check({"lr": "1e-4"})
