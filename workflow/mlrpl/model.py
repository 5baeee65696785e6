"""One method: a visual module and prompts on a frozen CLIP, scored by their cosine."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mlrpl.options import Options
from mlrpl.prompts import Prompts
from mlrpl.scores import SCORES, Scores
from mlrpl.text_tower import TextTower
from mlrpl.visual import VISUAL, VisualInputs


def precision_on(device: torch.device, precision: str) -> str:
    """Return "fp32" or "bf16": what the option `precision` means on a device."""
    if precision == "auto":
        return "bf16" if device.type == "cuda" else "fp32"
    return precision


class Recognizer(nn.Module):
    """Scores of all classes from an image's cached features (Fig. 2).

    Its parameters are what is trained: the visual module, the context vectors and, if
    asked for, the logarithm of the scale. CLIP's weights are buffers.
    """

    def __init__(
        self,
        options: Options,
        inputs: VisualInputs,
        context: Tensor | None = None,
        seed: int = 0,
    ):
        """Draw the trained weights from `seed`.

        Args:
            options: the setting's options.
            inputs: sizes, GloVe vectors and the text side of CLIP.
            context: start [M, W] of the context vectors, when they start from a text.
            seed: the visual module and the prompts each start from this seed, so that
                a change of one leaves the other's start as it was.
        """
        super().__init__()
        clip = inputs.clip
        torch.manual_seed(seed)
        self.visual = VISUAL[options.visual].from_options(options, inputs)
        self.tower = TextTower(clip)
        torch.manual_seed(seed)
        self.prompts = Prompts(
            clip,
            n_ctx=options.n_ctx,
            class_specific=options.prompts == "class_specific",
            period=options.period,
            context_length=self.tower.context_length,
            std=options.context_std,
            context=context,
        )
        scale = clip.logit_scale if options.scale == "clip" else float(options.scale)
        log_scale = torch.tensor(math.log(scale))
        if options.scale_learned:
            self.log_scale = nn.Parameter(log_scale)
        else:
            self.register_buffer("log_scale", log_scale)
        self.score = SCORES[options.score]
        self.precision = options.precision

    @property
    def reads(self) -> str:
        """The cached feature that `forward` takes: "map" or "global"."""
        return self.visual.reads

    def text_features(self) -> Tensor:
        """Return the classes' text features [C, D], normalised (Eq. 8)."""
        prompts, end = self.prompts()
        with self.products(prompts.device):
            text = self.tower(prompts, end)
        return F.normalize(_at_least_fp32(text), dim=-1)

    def forward(self, features: Tensor, text: Tensor | None = None) -> Scores:
        """Score images.

        Args:
            features: cached maps [B, L, K] or global features [B, D], as `reads` says.
            text: `text_features()`, when they are at hand.

        Returns:
            the scores of the classes, [B, C] (Eq. 9).
        """
        with self.products(features.device):
            visual = self.visual(features)
        visual = F.normalize(_at_least_fp32(visual), dim=-1)
        if text is None:  # last, so that backward its activations are the first to go
            text = self.text_features()
        if visual.shape[1] == 1:
            cosine = visual[:, 0] @ text.T
        else:
            cosine = (visual * text).sum(-1)
        return self.score(self.log_scale.exp() * cosine)

    def products(self, device: torch.device) -> torch.autocast:
        """Return the context in which products have the option's precision."""
        bf16 = precision_on(device, self.precision) == "bf16"
        return torch.autocast(device.type, torch.bfloat16, enabled=bf16)

    def trained(self) -> dict[str, Tensor]:
        """Return the trained weights by name."""
        return {name: p.detach() for name, p in self.named_parameters()}

    def parameter_counts(self) -> dict[str, int]:
        """Count the trained parameters by part, and in total."""
        parts = {"visual": 0, "prompts": 0, "scale": 0}
        for name, parameter in self.named_parameters():
            part = "scale" if name == "log_scale" else name.split(".")[0]
            parts[part] += parameter.numel()
        return {**parts, "total": sum(parts.values())}


def _at_least_fp32(features: Tensor) -> Tensor:
    return features.to(torch.promote_types(features.dtype, torch.float32))
