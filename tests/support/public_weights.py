"""Weights and gradients of public code, under the names that they have here."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mlrpl.methods.heads.ggnn import GatedGraphHead
from mlrpl.methods.inputs import Inputs

GRAPH = {
    "update_in": "fc_1_w",
    "update_state": "fc_1_u",
    "reset_in": "fc_2_w",
    "reset_state": "fc_2_u",
    "new_in": "fc_3_w",
    "new_state": "fc_3_u",
}
DECOUPLING = {"U": "fc1", "V": "fc2", "P": "fc3", "F_att": "fc4"}
# Modules of the graph head here, and in HCP-MLR-PL.
HEAD = {
    "reduction.channels": "changeChannel.0",
    "reduction.norm": "changeChannel.1",
    **{f"decoupling.{our}": f"SemanticDecoupling.{o}" for our, o in DECOUPLING.items()},
    **{f"graph_network.{our}": f"GraphNeuralNetwork.{o}" for our, o in GRAPH.items()},
    "output": "fc",
    "classifier": "classifiers",
}
# The same of KGGR in WS-MLR, which has a second graph network.
KGGR = {
    **{our: name.replace("Graph", "FeatureGraph") for our, name in HEAD.items()},
    **{
        f"classifier_network.{our}": f"SemanticGraphNeuralNetwork.{name}"
        for our, name in GRAPH.items()
    },
    "output": "fc1",
    "classifier_output": "fc2",
}


def read(oracles: Path, name: str) -> dict[str, Tensor]:
    """An oracle file of public code's numbers, fp32."""
    with np.load(oracles / f"methods/{name}.npz", allow_pickle=False) as file:
        return {key: torch.from_numpy(file[key]) for key in file}


def fill(module: nn.Module, data: dict[str, Tensor], names: dict[str, str]) -> None:
    """Put weights and running statistics in; `names` is ours to public, by module."""
    state = module.state_dict()
    filled = {}
    for name, tensor in state.items():
        parent, _, leaf = name.rpartition(".")
        public = f"w.{names.get(parent) or names[name]}"
        public += f".{leaf}" if parent in names else ""
        if leaf == "num_batches_tracked":
            filled[name] = tensor
        else:
            filled[name] = data[public].reshape(tensor.shape)
    module.load_state_dict(filled)


def check_gradients(
    module: nn.Module,
    data: dict[str, Tensor],
    names: dict[str, str],
    prefix: str = "g.",
) -> float:
    """Compare every parameter's gradient; return the largest difference."""
    largest = 0.0
    for name, parameter in module.named_parameters():
        parent, _, leaf = name.rpartition(".")
        public = f"{names[parent]}.{leaf}" if parent in names else names[name]
        found = parameter.grad
        if f"{prefix}{public}" not in data:
            assert found is None or not found.any(), name
            continue
        expected = data[f"{prefix}{public}"].reshape(parameter.shape)
        found = torch.zeros_like(parameter) if found is None else found
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5, msg=name)
        largest = max(largest, float((found - expected).abs().max()))
    return largest


def inputs_of(data: dict[str, Tensor], words: str = "w.wordFeatures") -> Inputs:
    """The inputs of a head on an oracle's maps; the graph is filled in afterwards."""
    classes = len(data[words])
    return Inputs(
        map_channels=data["x0" if "x0" in data else "x"].shape[1],
        embed_dim=3,
        class_vectors=data[words],
        clip=None,
        known=torch.ones(2, classes),
        grid=tuple(data["x0" if "x0" in data else "x"].shape[2:]),
    )


def graph_head(
    data: dict[str, Tensor], kind: type = GatedGraphHead, names=HEAD, **options
) -> GatedGraphHead:
    """The graph head with an oracle's weights and graph."""
    sizes = {
        "reduce_dim": len(data["w.changeChannel.0.weight"]),
        "attention_dim": len(data["w.SemanticDecoupling.fc1.weight"]),
        "output_dim": data["w.classifiers.weight"].shape[1],
        "graph_steps": 3,
        "unseen_classes": "alone",
    }
    head = kind(inputs_of(data), **{**sizes, **options})
    fill(head, data, names)
    for module in head.modules():
        if hasattr(module, "edges"):
            module.edges.copy_(data["w.inMatrix"])
    return head


def as_map(x: Tensor) -> Tensor:
    """A map [B, L, K] of images [B, K, H, W]."""
    return x.flatten(2).transpose(1, 2)
