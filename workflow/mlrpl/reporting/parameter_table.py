"""How many parameters each reading of the paper trains, beside its printed 4.8 M.

Section 4.2 neither names the data set nor says what is counted, and Eq. 3-6 with the
"1024-to-512 linear map" can be read in several ways. Readings that are methods here are
counted on the methods; the others are what their layers add up to.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlrpl.config import plan
from mlrpl.reporting.method_table import SIZES, paper_shapes, trained

PRINTED = 4_800_000
CONTEXT = 16  # vectors of a prompt
JOINT = 1024  # width of Eq. 3's joint space


@dataclass(frozen=True)
class Reading:
    """One way to read the paper.

    Attributes:
        text: what is trained.
        method: the run that is this reading; empty for one that is no method here.
        channels: of the map that the decoupling takes.
        words: length of a class's vector.
        joint: width of the joint space.
        pooled: width of what Eq. 6 pools.
        contexts: how many contexts of 16 vectors; None for one of each class.
        extra: further parameters, of C classes: `scale` times C, and `fixed` ones.
    """

    text: str
    method: str = ""
    channels: int = 2048
    words: int = 300
    joint: int = JOINT
    pooled: int = JOINT
    contexts: int | None = None
    scale: int = 0
    fixed: int = 0


# An element-wise linear layer with a weight for each class, as in SSGRL's code, has
# 2048 weights and a bias for each.
READINGS = (
    Reading("Eq. 6 pools the fused feature, as the text has it", "sarl"),
    Reading("the fused feature, one context for all classes", "coop_sd", contexts=1),
    Reading("Eq. 6 pools the raw map", "sarl+pooled=raw", pooled=2048),
    Reading(
        "the fused feature, and a classifier for each class on 2048 numbers left over "
        "from the lab's code",
        scale=2049,
    ),
    Reading("the fused feature, words by CLIP's 512-d text features", words=512),
    Reading("the raw map, words by CLIP's features", words=512, pooled=2048),
    Reading(
        "the raw map, words by CLIP's features, one context for all classes",
        words=512,
        pooled=2048,
        contexts=1,
    ),
    Reading(
        "the raw map, words by CLIP's features, no prompts",
        words=512,
        pooled=2048,
        contexts=0,
    ),
    Reading(
        "the map reduced to 1024 channels with batch normalisation, joint space 512, "
        "as in the lab's code",
        channels=1024,
        joint=512,
        fixed=2048 * 1024 + 2 * 1024,
    ),
    Reading(
        "the map reduced to 1024 channels with batch normalisation",
        channels=1024,
        fixed=2048 * 1024 + 2 * 1024,
    ),
)


def layers(reading: Reading, classes: int) -> int:
    """Return what a reading's layers add up to.

    Decoupling: map and words to the joint space, P with its bias, and the attention's
    vector with its; then the linear map to the text dimension, and the contexts.

    Args:
        reading: of the paper.
        classes: C.
    """
    shapes = paper_shapes(classes, 1)
    joint, text = reading.joint, shapes.embed_dim
    decoupling = (reading.channels + reading.words + joint) * joint + 2 * joint + 1
    to_text = reading.pooled * text + text
    contexts = classes if reading.contexts is None else reading.contexts
    prompts = contexts * CONTEXT * shapes.width
    return decoupling + to_text + prompts + reading.scale * classes + reading.fixed


def to_markdown(config: Mapping[str, Any]) -> str:
    """Return the table as GitHub's Markdown, the reading nearest to the paper first.

    Args:
        config: the checked configuration; a method that it lacks is counted by layers.
    """
    rows = []
    for reading in READINGS:
        counts = [_count(config, reading, name) for name in SIZES]
        nearest = min(abs(count - PRINTED) for count in counts)
        shares = " / ".join(f"{count / PRINTED - 1:+.1%}" for count in counts)
        numbers = " / ".join(f"{count:,}" for count in counts)
        method = f"`{reading.method}`" if reading.method else ""
        rows.append((nearest, (reading.text, method, numbers, shares)))
    lines = [
        "| what is trained | run | COCO / VOC | to 4.8 M |",
        "| --- | --- | --- | --- |",
    ]
    rows.sort(key=lambda row: row[0])
    return "\n".join([*lines, *(f"| {' | '.join(cells)} |" for _, cells in rows)])


def _count(config: Mapping[str, Any], reading: Reading, dataset: str) -> int:
    name = reading.method
    if name and name.partition("+")[0] in config["methods"]:
        found = trained(plan.method_options(config, name), dataset)
        if found is not None:
            return found
    return layers(reading, SIZES[dataset][0])
