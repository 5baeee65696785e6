"""Operations of whole trainings, counted as `mlrpl doctor` counts them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlrpl.bench.inputs import make_options
from mlrpl.bench.sizes import Sizes
from mlrpl.doctor.sizes import Feature, SplitCount, Text
from mlrpl.doctor.trainings import Counts, training_operations
from mlrpl.errors import UserError
from mlrpl.text.clip_text import ClipText


def table_operations(
    config: Mapping[str, Any],
    sizes: Sizes,
    texts: Mapping[str, Path],
    trainings: Mapping[tuple[str, str], int],
) -> float:
    """Return the operations of so many trainings of data sets and methods.

    Every epoch is counted as one in which transfer has set in, and prototypes are not.

    Args:
        config: the configuration.
        sizes: of data sets and methods.
        texts: the text side of CLIP of each data set.
        trainings: their number, by data set and method.

    Raises:
        UserError: for a method that cannot be counted.
    """
    total = 0.0
    counts = {name: counts_of(sizes, ClipText(path)) for name, path in texts.items()}
    for (dataset, method), number in trainings.items():
        options, data = make_options(sizes, config, method), sizes.datasets[dataset]
        train, test = (
            SplitCount(images, len(data.names), "published")
            for images in (data.train, data.test)
        )
        count = counts[dataset].of(options, train)
        found = count and training_operations(options, count, train, test)
        if found is None:
            raise UserError(
                f"bench: the operations of {method} cannot be counted; leave out the "
                "part epoch"
            )
        total += number * found
    return total


def counts_of(sizes: Sizes, clip: ClipText) -> Counts:
    """Return what counts methods on a cached map and the text side of a CLIP."""
    context, width = clip.tensor("positional_embedding").shape
    channels, embed = (int(clip.metadata[k]) for k in ("map_channels", "embed_dim"))
    heads, layers = (int(clip.metadata[k]) for k in ("heads", "layers"))
    # The vocabulary has no part in a training.
    text = Text(width=width, layers=layers, heads=heads, vocabulary=0, context=context)
    return Counts(Feature(sizes.locations, channels, embed), text)
