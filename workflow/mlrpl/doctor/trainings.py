"""What a training takes, counted on its method; None where that cannot be done."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mlrpl.config.options import Options, part_options
from mlrpl.doctor.sizes import Feature, SplitCount, Text

if TYPE_CHECKING:  # it needs torch, and the doctor has to say so if that is missing
    from mlrpl.methods.counting import Count

# Width of the published GloVe vectors; the demo's are narrower, which changes little.
GLOVE_WIDTH = 300
# Tokens of a class name: most have one or two, the longest of the data sets three.
NAME_TOKENS = 3
# Numbers that training keeps of a parameter besides itself: gradient, momentum.
KEPT = {"sgd": 2, "adam": 3, "adamw": 3}


class Counts:
    """Counts of methods, each made when it is first asked for."""

    def __init__(self, feature: Feature | None, text: Text | None):
        self._feature, self._text = feature, text
        self._found: dict[tuple, Count | None] = {}

    def of(self, values: Mapping, train: SplitCount) -> "Count | None":
        """Count a method on a data set; None if it cannot be.

        Args:
            values: the method's options.
            train: its training split.
        """
        # The loss gets scores alone: its own options change neither work nor memory.
        loss = part_options("loss", values["loss"])
        kind = [(name, values[name]) for name in values if name not in loss]
        key = (*kind, train.images, train.classes)
        if key not in self._found:
            self._found[key] = self._count(Options.from_dict(values), train)
        return self._found[key]

    def _count(self, options: Options, train: SplitCount) -> "Count | None":
        feature, text = self._feature, self._text
        if feature is None or text is None:
            return None
        if train.images is None or train.classes is None:
            return None
        try:
            from mlrpl.methods import counting
        except (ImportError, OSError):  # torch is missing or broken
            return None
        shapes = counting.Shapes(
            channels=feature.channels,
            locations=feature.locations,
            embed_dim=feature.embed,
            classes=train.classes,
            glove=GLOVE_WIDTH,
            images=train.images,
            width=text.width,
            layers=text.layers,
            heads=text.heads,
            context_length=text.context,
            name_tokens=NAME_TOKENS,
        )
        return counting.count(options, shapes)


def training_bytes(options: Mapping, count: "Count") -> int:
    """Return the bytes of a method and of a step with it, in fp32."""
    trained = 4 * KEPT[options["optimizer"]] * count.parameters
    return count.state + count.kept + trained


def training_operations(
    options: Mapping, count: "Count", train: SplitCount, test: SplitCount
) -> float | None:
    """Return the operations of a training with its tests; None if a size is unknown."""
    if train.images is None or test.images is None:
        return None
    steps = math.ceil(train.images / options["batch_size"])
    tests = options["epochs"] // options["eval_every"]
    tests += bool(options["epochs"] % options["eval_every"] or not options["epochs"])
    test_operations = count.prepare + test.images * count.image
    return options["epochs"] * steps * count.step + tests * test_operations
