"""How many classes an image has on average, and a penalty for another number.

Expected positive regularisation (Cole et al., CVPR 2021, Eq. 7).
"""

import torch
from torch import Tensor, nn

from mlrpl.errors import UserError
from mlrpl.methods.inputs import Inputs


class ExpectedPositives(nn.Module):
    """The mean number of classes in an image: given, or from the known labels.

    From the known labels it is the sum over the classes of the share of positives among
    a class's known labels, which needs known negatives.
    """

    number: Tensor
    has_negatives: Tensor

    def __init__(self, inputs: Inputs, expected: float | str):
        """Take the number, or "known" to count it."""
        super().__init__()
        self.counted = expected == "known"
        if self.counted:
            positive, known = (inputs.known > 0).sum(0), (inputs.known != 0).sum(0)
            number = (positive / known.clamp(min=1)).sum()
            has_negatives = (inputs.known < 0).any()
        else:
            number, has_negatives = torch.tensor(float(expected)), torch.tensor(True)
        self.register_buffer("number", number, persistent=False)
        self.register_buffer("has_negatives", has_negatives, persistent=False)

    def check(self) -> None:
        """Refuse to count where no label is known to be absent.

        Raises:
            UserError: one line that says what to give.
        """
        if self.counted and not self.has_negatives:
            raise UserError(
                "options: expected_positives: known: no label is known to be absent, "
                "so the classes of an image cannot be counted; give their mean number"
            )

    def penalty(self, p: Tensor) -> Tensor:
        """Return ((mean over images of the sum of p [B, C]) - number)^2 / C^2."""
        return ((p.sum(dim=1).mean() - self.number) / p.shape[1]) ** 2
