"""The table of methods: what each is made of, where it is from, what it trains.

Parts and sizes are those of the configuration and of the method itself; what cannot be
derived is in workflow/published/methods.yaml.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from mlrpl.config import names, plan
from mlrpl.config.options import Options
from mlrpl.errors import UserError
from mlrpl.methods import counting

FACTS = Path(__file__).resolve().parents[2] / "published/methods.yaml"
KEYS = {"printed", "paper", "key", "uses", "code", "checked", "oracles", "differs"}
HEADS = (
    "method",
    "head, transfer, loss",
    "paper",
    "knows of the classes",
    "trained, COCO / VOC",
    "checked against",
    "what public code does otherwise",
)
# Classes and training images of the paper's data sets.
SIZES = {"coco2014": (80, 82_081), "voc2007": (20, 5_011)}


def load_facts(path: str | Path = FACTS) -> dict[str, dict[str, Any]]:
    """Return what methods.yaml says, by method.

    Raises:
        UserError: a file that cannot be read, or an entry with other keys.
    """
    try:
        facts = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: cannot be read ({reason}); correct it") from error
    for name, entry in facts.items():
        if not isinstance(entry, dict) or set(entry) != KEYS:
            raise UserError(
                f"{path}: {name}: its keys are not {', '.join(sorted(KEYS))}; give "
                "these"
            )
    return facts


def trained(options: Mapping[str, Any], dataset: str) -> int | None:
    """Return the trained parameters at the paper's sizes; None if they are unknown.

    Args:
        options: of the method (`method_strings.resolve`).
        dataset: a name in `SIZES`.
    """
    classes, images = SIZES[dataset]
    shapes = paper_shapes(classes, images)
    return counting.parameters(Options.from_dict(options), shapes)


def paper_shapes(classes: int, images: int) -> counting.Shapes:
    """Return the sizes of CLIP's ResNet-101 at 448 x 448, pooled, and of GloVe's words.

    Args:
        classes: C.
        images: of the training split.
    """
    return counting.Shapes(
        channels=2048,
        locations=49,
        embed_dim=512,
        classes=classes,
        glove=300,
        images=images,
        width=512,
        layers=12,
        heads=8,
        context_length=77,
        name_tokens=3,
    )


def to_markdown(config: Mapping[str, Any]) -> str:
    """Return the table of the configured methods as GitHub's Markdown.

    Args:
        config: the checked configuration.
    """
    facts = load_facts()
    rows = [HEADS, ("---",) * len(HEADS)]
    rows += [_row(config, name, facts.get(name, {})) for name in config["methods"]]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(
    config: Mapping[str, Any], name: str, facts: Mapping[str, Any]
) -> tuple[str, ...]:
    options = plan.method_options(config, name)
    title = names.title(config, name)
    counts = [trained(options, dataset) for dataset in SIZES]
    texts = ("unknown" if count is None else f"{count:,}" for count in counts)
    checked = facts.get("checked", "")
    if oracles := facts.get("oracles"):
        checked += f": {', '.join(f'`{oracle}`' for oracle in oracles)}"
    differs = facts.get("differs", "")
    if code := facts.get("code"):
        differs = f"{', '.join(map(_link, code))}: {differs}"
    return (
        f"`{name}`" if title == name else f"{title} (`{name}`)",
        ", ".join(f"`{options[kind]}`" for kind in ("head", "transfer", "loss")),
        facts.get("paper", ""),
        ", ".join(facts.get("uses", [])) or ("nothing" if facts else ""),
        " / ".join(texts),
        checked,
        differs,
    )


def _link(code: str) -> str:
    """Return `owner/name@commit` as a link to the repository at that commit."""
    repository, _, commit = code.partition("@")
    name = repository.partition("/")[2]
    return f"[{name}](https://github.com/{repository}/tree/{commit})"
