"""Methods of HCP-MLR-PL put together from an oracle file's weights."""

from dataclasses import replace

import torch
from torch import Tensor

from mlrpl.config.options import Options, part_options
from mlrpl.methods.base import Batch
from mlrpl.methods.losses.p_bce import PartialBCE
from mlrpl.methods.method import Method
from mlrpl.methods.parts import part_class
from support.public_weights import HEAD, as_map, fill, graph_head, inputs_of
from support.recorded_draws import as_recorded

PAIRS = {
    "pairs.reduction": "intra_fc_1",
    "pairs.first": "intra_fc_2",
    "pairs.second": "intra_fc_3",
    "pairs.classifier": "intra_classifiers",
}
MARGINS = {"intra_margin": "intraMargin", "inter_margin": "interMargin"}
NAMES = {
    "sst": PAIRS,
    "hst": {**PAIRS, **MARGINS},
    "sarb": {"alpha": "alpha", "beta": "beta"},
    "dsrb": {"alpha": "alpha", "beta": "beta"},
}
# The sizes of the oracle files; everything else at its default.
SIZES = {"pair_dim": 6, "pair_hidden": 8, "memory_size": 4, "prototypes": 3}
NO_FILE = (
    "memory.features",
    *(f"prototypes.{name}" for name in ("centers", "filled", "means", "present")),
)


def make_transfer(kind: str, inputs, **options):
    """A transfer by its name, its options at their defaults but for those given."""
    own = part_options("transfer", kind)
    sizes = {k: v for k, v in SIZES.items() if k in own}
    chosen = Options.from_dict({"transfer": kind, **sizes, **options})
    return part_class("transfer", kind).from_options(chosen, inputs)


def make_method(data: dict[str, Tensor], kind: str, recorded=(), **options) -> Method:
    """The graph head with a transfer and partial BCE, all weights the oracle's."""
    head = graph_head(data)
    inputs = replace(inputs_of(data), class_dim=head.class_dim)
    transfer = make_transfer(kind, inputs, **options)
    names = {**NAMES[kind], **{name: name for name in NO_FILE}}
    kept = {n: t for n, t in transfer.state_dict().items() if n not in NAMES[kind]}
    own = {f"w.{n}": t for n, t in kept.items()}
    fill(transfer, {**data, **own}, names)
    transfer.contrast.draw = as_recorded(recorded)
    return Method(head, transfer, PartialBCE()).train()


def gradient_names(kind: str) -> dict[str, str]:
    """Our modules' names to the public ones, of a method."""
    return {
        **{f"head.{our}": public for our, public in HEAD.items()},
        **{f"transfer.{our}": public for our, public in NAMES[kind].items()},
    }


def batch_of(x: Tensor, y: Tensor) -> Batch:
    """A batch of an oracle's maps and labels."""
    return Batch(as_map(x), y.to(torch.int8), torch.arange(len(y)))
