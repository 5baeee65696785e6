"""Options of a training: which apply, the overrides in a name, and canonical names."""

import pytest
import yaml

from mlrpl.config import options, validation
from mlrpl.config.method_strings import canonical, resolve
from mlrpl.config.options import Options, check, options_schema
from mlrpl.errors import UserError
from support.configs import merged

METHODS = {
    "coop": {"visual": "global", "prompts": "shared"},
    "linear": {"head": "linear"},
    "sarl": {},
    "slow": {"lr": 0.0001},
}


def test_every_option_has_a_description_and_a_default_of_its_own_type():
    for name, spec in options_schema()["properties"].items():
        assert len(spec["description"]) > 10, name
        check({name: spec["default"]})


def test_conditions_name_options_and_values_that_there_are():
    properties = options_schema()["properties"]
    for name, spec in properties.items():
        when = spec.get("when", [])
        for case in when if isinstance(when, list) else [when]:
            assert case, name
            for key, allowed in case.items():
                assert key != name
                for value in allowed:
                    check({key: value}, where=name)


def test_the_defaults_are_the_papers_values():
    found = Options.from_dict({})
    assert (found.gamma_neg, found.gamma_pos, found.margin) == (2, 1, 0.05)
    assert (found.lr, found.warmup_lr, found.warmup_epochs) == (0.002, 0.0005, 1)
    assert (found.batch_size, found.epochs, found.n_ctx) == (64, 100, 16)
    assert found.joint_dim == 1024


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
        ("coop+visual=global", "coop"),
        (
            "coop+visual=semantic_decoupling+joint_dim=1024",
            "coop+visual=semantic_decoupling",
        ),
        ("sarl+loss=p_bce+p_bce_weight=none", "sarl+loss=p_bce"),
        (
            "sarl+p_bce_weight=durand+loss=p_bce",
            "sarl+loss=p_bce+p_bce_weight=durand",
        ),
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
        ("coop+joint_dim=512", ["joint_dim", "visual=semantic_decoupling"]),
        ("coop+joint_dim=1024", ["joint_dim has no effect here"]),
        ("coop+lr_visual=10", ["lr_visual", "head=cosine and visual="]),
        ("sarl+p_bce_weight=durand", ["p_bce_weight", "loss=p_bce"]),
        ("sarl+loss=p_bce+gamma_neg=4", ["gamma_neg", "loss=p_asl"]),
        ("sarl+optimizer=adamw+momentum=0.5", ["momentum", "optimizer=sgd"]),
        ("sarl+feature=map_mean", ["feature", "head=linear"]),
        ("linear+n_ctx=4", ["n_ctx", "head=cosine"]),
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


# ------------------------------------------------------------------- what applies where


def test_a_run_has_the_options_that_apply_and_no_others():
    sarl, coop = (set(resolve(name, {}, METHODS)) for name in ("sarl", "coop"))
    assert sarl - coop == {"joint_dim", "lr_visual", "pooled", "projection"}
    assert coop < sarl
    linear = set(resolve("linear", {}, METHODS))
    assert linear - sarl == {"feature"}
    assert not linear & {"visual", "prompts", "scale", "n_ctx", "context_init"}
    adamw = set(resolve("sarl+optimizer=adamw", {}, METHODS))
    assert sarl - adamw == {"momentum"}


def test_an_option_of_all_methods_is_left_out_where_it_does_not_apply():
    shared = {"joint_dim": 512, "gamma_neg": 4, "lr": 0.5}
    assert "joint_dim" not in resolve("coop", shared, METHODS)
    assert resolve("sarl", shared, METHODS)["joint_dim"] == 512
    found = resolve("coop+loss=p_bce", shared, METHODS)
    assert "gamma_neg" not in found and found["lr"] == 0.5
    assert canonical("coop+visual=semantic_decoupling", shared, METHODS) == (
        "coop+visual=semantic_decoupling"
    )
    with pytest.raises(UserError, match="joint_dim has no effect here"):
        resolve("coop+joint_dim=512", shared, METHODS)


def test_a_condition_may_depend_on_another_option_that_applies():
    attention = "sarl+visual=semantic_attention"
    assert resolve(attention, {}, METHODS)["joint_dim"] == 1024
    assert "pooled" not in resolve(attention, {}, METHODS)
    own = f"{attention}+projection=clip"
    assert "joint_dim" not in resolve(own, {}, METHODS)
    with pytest.raises(UserError, match="visual=semantic_attention and projection=ran"):
        resolve(f"{own}+joint_dim=512", {}, METHODS)
    decoupled = "sarl+pooled=raw+projection=clip+joint_dim=512"
    assert resolve(decoupled, {}, METHODS)["joint_dim"] == 512
    # `n_ctx` names context_init, which needs a head with prompts itself.
    assert "n_ctx" in resolve("coop", {}, METHODS)
    assert "n_ctx" not in resolve("coop+context_init=a_photo_of_a", {}, METHODS)
    assert "n_ctx" not in resolve("linear", {"context_init": "random"}, METHODS)


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"loss": "p_bce", "margin": 0.1}, "margin"),
        ({"visual": "global", "joint_dim": 512}, "joint_dim"),
        ({"p_bce_weight": "durand"}, "p_bce_weight"),
    ],
)
def test_a_method_of_the_config_sets_only_what_applies_to_it(repository, values, name):
    paper = yaml.safe_load((repository / "config.yaml").read_text())
    with pytest.raises(UserError) as error:
        validation.validate(merged(paper, {"methods": {"mine": values}}))
    message = str(error.value)
    assert message.startswith(f"method mine: {name} has no effect here; it applies ")
    assert "\n" not in message
    right = {"loss": "p_bce", "p_bce_weight": "durand"}
    validation.validate(merged(paper, {"methods": {"mine": right}}))


# -------------------------------------------------------------------------- `Options`


def test_options_are_a_mapping_and_attributes():
    found = Options.from_dict({"visual": "global", "lr": 1.0})
    assert found.lr == found["lr"] == 1 and isinstance(found.lr, int)
    assert list(found) == sorted(found) and len(found) == len(found.to_dict())
    assert (
        found.to_dict()
        == dict(found)
        == resolve("sarl+visual=global+lr=1", {}, METHODS)
    )
    assert "joint_dim" not in found
    with pytest.raises(AttributeError, match="option joint_dim does not apply"):
        found.joint_dim  # noqa: B018
    with pytest.raises(KeyError):
        found["joint_dim"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"visual": "global", "joint_dim": 512}, "joint_dim has no effect here"),
        ({"gama_pos": 1}, "unknown option gama_pos; did you mean gamma_pos?"),
        ({"gamma_pos": "high"}, "gamma_pos: 'high' is not allowed"),
        ({"projection": "clip"}, "set pooled to raw too"),
    ],
)
def test_options_that_do_not_apply_or_are_wrong_are_refused(values, words):
    with pytest.raises(UserError) as error:
        Options.from_dict(values)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_a_part_takes_its_own_options():
    asymmetric = Options.from_dict({"gamma_neg": 4})
    assert asymmetric.part("loss") == {
        "gamma_pos": 1,
        "gamma_neg": 4,
        "margin": 0.05,
        "detach": True,
    }
    durand = Options.from_dict({"loss": "p_bce", "p_bce_weight": "durand"})
    assert durand.part("loss") == {"p_bce_weight": "durand"}
    assert Options.from_dict({"head": "linear"}).part("head") == {"feature": "global"}


def test_parts_are_modules_of_the_package(repository):
    for kind, spec in options_schema()["properties"].items():
        for name in spec.get("parts", ()):
            module, _, found = options.part_class(kind, name).partition(":")
            path = repository / "workflow/mlrpl" / f"{module.replace('.', '/')}.py"
            assert f"class {found}" in path.read_text(), f"{kind}={name}"
