"""What the rules ask of the checked configuration: runs, and specs of what shows them.

Plain values in and out, so that Snakemake can compare them between two runs.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mlrpl.config import method_strings, names, options
from mlrpl.errors import UserError

Names = str | Iterable[str]
Numbers = float | Iterable[float]
Groups = Iterable[Mapping[str, Any]]


def sources(config: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """Return what a method's options come from: those shared, methods, recipes."""
    return config["options"], config["methods"], config["recipes"]


def canonical(config: Mapping[str, Any], method: str) -> str:
    """Return the one name of a method with overrides (`method_strings.canonical`).

    Raises:
        UserError: as there, or where a run compares more views of an image than the
            features have.
    """
    wanted = options.compared_views(method_options(config, method))
    if wanted > 1 and wanted > len(views := config["encoder"]["views"]):
        raise UserError(
            f"method {method}: its transfer compares {wanted} views of an image, and "
            f"encoder.views has {len(views)}: {', '.join(views)}; set it to more, such "
            "as [full, flip], or choose another transfer"
        )
    return method_strings.canonical(method, *sources(config))


def method_options(config: Mapping[str, Any], method: str) -> dict[str, Any]:
    """Return every option of a method with overrides (`method_strings.resolve`)."""
    return method_strings.resolve(method, *sources(config))


def proportion(value: float) -> str:
    """Return a proportion as paths have it: 0.1, 0.25, 1.0."""
    return repr(float(value))


def runs(
    config: Mapping[str, Any],
    dataset: Names | None = None,
    method: Names | None = None,
    prop: Numbers | None = None,
    seed: int | Iterable[int] | None = None,
    also: Groups = (),
) -> list[str]:
    """Return the folder of every combination, each once, in the order given.

    Whatever is left out is everything that the configuration has; of the data sets,
    those with images of their own (`own_images`). Each group in `also`
    is a mapping of these four, whose combinations follow.

    Raises:
        UserError: for an unknown method or override.
    """
    methods = (canonical(config, name) for name in _many(method, config["methods"]))
    combinations = itertools.product(
        _many(dataset, own_images(config)),
        methods,
        map(proportion, _many(prop, config["proportions"])),
        _many(seed, config["seeds"]),
    )
    found = [f"{d}/{m}/prop={p}/seed={s}" for d, m, p, s in combinations]
    for group in also:
        found += runs(config, **group)
    return list(dict.fromkeys(found))


def experiment(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the runs of a table or figure, as `runs` takes them; none if it is off.

    Where it has `systems`, these come first, as in the paper's tables, and its own
    methods are the group in `also`.
    """
    entry = config["experiments"].get(name, {})
    keys = {
        "dataset": "datasets",
        "method": "methods",
        "prop": "proportions",
        "seed": "seeds",
    }
    own = {key: entry.get(many, []) for key, many in keys.items()}
    systems = entry.get("systems")
    if not systems:
        return own
    first = {key: systems.get(many, own[key]) for key, many in keys.items()}
    return {**first, "also": [own]}


def runs_of(config: Mapping[str, Any], name: str, dataset: str) -> list[str]:
    """Return the runs of a table or figure on one data set; none if it is not there."""
    found = runs(config, **experiment(config, name))
    return [run for run in found if run.split("/")[0] == dataset]


def spec(
    config: Mapping[str, Any],
    contents: Mapping[str, Any],
    dataset: Names | None = None,
    method: Names | None = None,
    prop: Numbers | None = None,
    seed: int | Iterable[int] | None = None,
    also: Groups = (),
) -> dict[str, Any]:
    """Return a table's or figure's contents with the runs that it shows.

    Args:
        config: the checked configuration.
        contents: what else workflow/schemas/{table,figure}.schema.yaml has, and
            `titles`: what to call methods here, by any name of theirs. In a figure's
            `panels` each panel gets the methods whose options have the values of its
            `fixed`, at the value of its option `x`; one that gets none is left out,
            as is `gain` where one of its two methods is not shown.
        dataset: data sets to show, by default all; so with the next three.
        method: methods, with or without overrides.
        prop: proportions of known labels.
        seed: seeds.
        also: further groups of runs, each a mapping of these four. What is shown is
            all that any group has; which of it was run, the results say.

    Raises:
        UserError: for an unknown method or override, shown or in `titles`, or methods
            of which none fits a panel.
    """
    titles = contents.get("titles", {})
    try:
        titles = {**{canonical(config, key): titles[key] for key in titles}, **titles}
    except UserError as error:
        raise UserError(f"{contents.get('title')}: titles: {error}") from None
    groups = [{"dataset": dataset, "method": method, "prop": prop, "seed": seed}, *also]

    def every(key: str, everything: str) -> list:
        whole = own_images(config) if key == "dataset" else config[everything]
        each = (_many(group.get(key), whole) for group in groups)
        return list(dict.fromkeys(itertools.chain(*each)))

    entries = {}
    for name in every("method", "methods"):
        run = canonical(config, name)
        found = titles.get(name) or titles.get(run) or names.title(config, run)
        entries[name] = {"name": run, "title": found}
        entries[name]["published"] = [names.printed(config, run)]
        recipe = method_options(config, run)["recipe"]
        if "kind" not in contents and recipe != "none":
            entries[name]["recipe"] = recipe
    shown = {
        **{k: v for k, v in contents.items() if k not in ("titles", "gain")},
        "datasets": [
            _dataset_entry(config, name) for name in every("dataset", "datasets")
        ],
        "proportions": [float(p) for p in every("prop", "proportions")],
        "seeds": every("seed", "seeds"),
        "published_titles": names.titles_of_printed(config),
    }
    if "gain" in contents:
        gain = contents["gain"]
        both = {key: _run(config, gain[key]) for key in ("method", "baseline")}
        if set(both.values()) <= {entry["name"] for entry in entries.values()}:
            shown["gain"] = {**gain, **both}
    if "panels" not in contents:
        return {**shown, "methods": list(entries.values())}
    panels = [_panel(config, panel, entries) for panel in contents["panels"]]
    shown["panels"] = [panel for panel in panels if panel["methods"]]
    if entries and not shown["panels"]:
        values = [panel.get("fixed", {}) for panel in contents["panels"]]
        raise UserError(
            f"{contents['title']}: {', '.join(entries)}: none has the options of a "
            f"panel; name methods with {' or '.join(map(_overrides, values))}"
        )
    return shown


def _overrides(values: Mapping[str, Any]) -> str:
    """Return options as a method string has them: a=1+b=2."""
    return "+".join(f"{k}={method_strings.format_value(v)}" for k, v in values.items())


def _run(config: Mapping[str, Any], name: str) -> str | None:
    """Return a method's canonical name; None if the configuration has no such."""
    try:
        return canonical(config, name)
    except UserError:
        return None


def _panel(
    config: Mapping[str, Any],
    panel: Mapping[str, Any],
    entries: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Return a panel with the methods that have the values of its `fixed`."""
    option, fixed = panel["x"], panel.get("fixed", {})
    methods, defaults = {}, set()
    for entry in entries.values():
        chosen = method_options(config, entry["name"])
        values = {key: chosen.get(key) for key in fixed}
        if option in chosen and values == dict(fixed):
            # Printed after the plain method: "Ours+gamma_pos=0".
            value = method_strings.format_value(chosen[option])
            plain = names.printed(config, entry["name"].partition("+")[0])
            printed = [f"{plain}+{option}={value}", *entry["published"]]
            found = {**entry, "x": chosen[option], "published": printed}
            methods[entry["name"]] = found
            base = method_options(config, entry["name"].partition("+")[0])
            defaults.add(base.get(option))
    default = defaults.pop() if len(defaults) == 1 else None
    marked = {} if default is None else {"default": default}
    return {**panel, **marked, "methods": list(methods.values())}


def _dataset_entry(config: Mapping[str, Any], name: str) -> dict[str, str]:
    dataset = config["datasets"][name]
    entry = {"name": name, "title": dataset["title"]}
    if dataset["published"] is not None:
        entry["published"] = dataset["published"]
    return entry


def own_images(config: Mapping[str, Any]) -> list[str]:
    """Return the data sets with images of their own; others have to be named."""
    entries = config["datasets"].items()
    return [name for name, entry in entries if entry["same_images_as"] is None]


def images_of(config: Mapping[str, Any], dataset: str) -> str:
    """Return the data set whose images and features one has: as a rule itself."""
    return config["datasets"][dataset]["same_images_as"] or dataset


def views_of(config: Mapping[str, Any], split: str) -> list[str]:
    """Return the cached views of a split: test images have the first alone."""
    views = list(config["encoder"]["views"])
    return views if split == "train" else views[:1]


def features_folder(config: Mapping[str, Any], method: str) -> str:
    """Return where a run's feature files are below a split's: `tokens/` or here."""
    return "tokens/" if options.reads_tokens(method_options(config, method)) else ""


def _many(value: Any, everything: Iterable) -> Sequence:
    """Return a value or several as a list; all there are for None."""
    if value is None:
        return list(everything)
    return [value] if isinstance(value, str | int | float) else list(value)
