"""Method strings: a method of the config and any overrides, `sarl+loss=p_bce+lr=0.01`.

What options such a name stands for (`resolve`), and which of the names of one training
is its own (`canonical`).
"""

import difflib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from mlrpl.config.options import applying, check, defaults, misplaced, typed
from mlrpl.errors import UserError

Recipes = Mapping[str, Mapping[str, Mapping[str, Any]]]


def resolve(
    method: str,
    base: Mapping[str, Any],
    methods: Mapping[str, Mapping[str, Any]],
    recipes: Recipes = MappingProxyType({}),
) -> dict[str, Any]:
    """Return every option that applies to a method string, sorted by name.

    An override goes over the method's own options, these over those of its recipe, and
    these over those that all methods share.

    Args:
        method: `name` or `name+option=value+...`.
        base: the config's `options`, shared by all methods.
        methods: the config's `methods`: the options that each sets.
        recipes: the config's `recipes`: of each recipe, the options of its methods.

    Raises:
        UserError: for an unknown method, a bad or repeated override, or one that does
            not apply to the method, or a recipe that the method does not have.
    """
    name, overrides = _parse(method, methods)
    shared = _shared(method, name, overrides, base, methods, recipes)
    return _resolve(method, shared, overrides)


def _shared(
    method: str,
    name: str,
    overrides: Mapping[str, Any],
    base: Mapping[str, Any],
    methods: Mapping[str, Mapping[str, Any]],
    recipes: Recipes,
) -> dict[str, Any]:
    """Return the options that a method has before its overrides."""
    values = {**base, **methods[name]}
    recipe = overrides.get("recipe", values.get("recipe", "none"))
    if recipe == "none":
        return values
    known = recipes.get(recipe, {})
    if name not in known:
        those = f"it is given for {', '.join(known)}" if known else "no method has one"
        raise UserError(
            f"method {method}: recipe: {name} has no recipe {recipe}; {those}; give "
            f"recipes.{recipe}.{name} in the config, or set recipe=none"
        )
    return {**base, **known[name], **methods[name]}


def _resolve(
    method: str, shared: Mapping[str, Any], overrides: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the options that apply; all overrides must."""
    found = applying(check({**shared, **overrides}, where=f"method {method}"))
    for option in overrides:
        if option not in found:
            raise UserError(f"method {method}: {misplaced(option)}")
    return check(found, where=f"method {method}")


def check_method(
    name: str,
    base: Mapping[str, Any],
    methods: Mapping[str, Mapping[str, Any]],
    recipes: Recipes = MappingProxyType({}),
) -> None:
    """Check a method of the config, with each recipe that it has.

    Raises:
        UserError: one line that names the method and the option: one that does not
            apply to it, or that both the method and its recipe set.
    """
    resolve(name, base, methods, recipes)
    _resolve(name, base, methods[name])
    for recipe, known in recipes.items():
        if name not in known:
            continue
        if twice := sorted(known[name].keys() & methods[name].keys()):
            raise UserError(
                f"recipes.{recipe}.{name}: {twice[0]}: methods.{name} sets it too; "
                "leave it to one of them"
            )
        own = {**known[name], **methods[name], "recipe": recipe}
        _resolve(f"{name}+recipe={recipe}", base, own)


def canonical(
    method: str,
    base: Mapping[str, Any],
    methods: Mapping[str, Mapping[str, Any]],
    recipes: Recipes = MappingProxyType({}),
) -> str:
    """Return the one name of a method string's options.

    Overrides that change nothing are dropped and the rest sorted, so that
    `sarl+gamma_pos=1` and `sarl` name the same run.

    Raises:
        UserError: as `resolve`.
    """
    name, overrides = _parse(method, methods)
    shared = _shared(method, name, overrides, base, methods, recipes)
    wanted = _resolve(method, shared, overrides)
    # An override decides its own value alone, so those without effect go one by one; a
    # recipe decides those of others, which is what they are compared with.
    plain = {**defaults(), **check(shared, where=f"method {name}")}
    plain["recipe"] = methods[name].get("recipe", base.get("recipe", "none"))
    kept = [k for k in sorted(overrides) if wanted[k] != plain[k]]
    return "+".join([name, *(f"{k}={format_value(wanted[k])}" for k in kept)])


def format_value(value: Any) -> str:
    """Return an option's value as it stands in a method string."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value).removesuffix(".0").replace("e+", "e")
    return str(value)


def _parse(
    method: str, methods: Mapping[str, Mapping[str, Any]]
) -> tuple[str, dict[str, Any]]:
    name, *parts = method.split("+")
    if name not in methods:
        close = difflib.get_close_matches(name, methods, n=1)
        hint = f"did you mean {close[0]}?" if close else "the config's methods are "
        raise UserError(
            f"method {method}: unknown method {name}; "
            f"{hint if close else hint + ', '.join(methods)}"
        )
    overrides: dict[str, Any] = {}
    for part in parts:
        option, equals, text = part.partition("=")
        if not equals or not option or not text:
            raise UserError(
                f"method {method}: {part!r} is not an override; write +option=value"
            )
        if option in overrides:
            raise UserError(f"method {method}: {option} is set twice; keep one")
        overrides[option] = typed(option, text)
    return name, check(overrides, where=f"method {method}") if overrides else {}
