"""The gated graph network of SSGRL (Chen et al., ICCV 2019; Li et al., ICLR 2016)."""

import torch
from torch import Tensor, nn

from mlrpl.methods.precision import at_least_fp32


class GatedGraph(nn.Module):
    """Messages between classes for a number of steps, one state a class.

    With a = [P h ; P^T h], an update gate z = sigma(W_z a + U_z h), a reset gate
    r = sigma(W_r a + U_r h) and a candidate tanh(W_h a + U_h (r * h)), a step is
    h <- (1 - z) h + z candidate. `GatedGNN` of HCP-MLR-PL.
    """

    edges: Tensor

    def __init__(self, width: int, edges: Tensor, steps: int, reset_gate: str = "own"):
        """Draw the weights as `nn.Linear` does.

        Args:
            width: of a state.
            edges: P, [C, C]; frozen.
            steps: T.
            reset_gate: "own", or "update": U_r is U_z, a slip of the original code.
        """
        super().__init__()
        self.steps = steps
        self.register_buffer("edges", edges.clone(), persistent=False)
        self.update_in = nn.Linear(2 * width, width)
        self.update_state = nn.Linear(width, width)
        self.reset_in = nn.Linear(2 * width, width)
        own = reset_gate == "own"
        self.reset_state = nn.Linear(width, width) if own else None
        self.new_in = nn.Linear(2 * width, width)
        self.new_state = nn.Linear(width, width)

    def forward(self, states: Tensor) -> Tensor:
        """Return the states [..., C, D] after all steps, from those at the start."""
        both_ways = torch.cat((self.edges, self.edges.T))
        classes = len(self.edges)
        reset_state = self.reset_state or self.update_state
        for _ in range(self.steps):
            messages = both_ways @ states
            given = torch.cat(
                (messages[..., :classes, :], messages[..., classes:, :]), dim=-1
            )
            update = self.update_in(given) + self.update_state(states)
            reset = self.reset_in(given) + reset_state(states)
            update, reset = (
                torch.sigmoid(at_least_fp32(gate)) for gate in (update, reset)
            )
            new = self.new_in(given) + self.new_state(reset * states)
            states = torch.lerp(states, torch.tanh(at_least_fp32(new)), update)
        return states
