"""Counted work of one training step: multiplications, sigmoids, bytes to move.

In the formulas: B images, L locations, K channels of the map, C classes, G numbers of a
class vector, J the joint width, D the width of the text features, E = B L C J entries
of Eq. 3's tensor; R rows, T tokens, H heads and W width of the text tower. A product of
[m, k] and [k, n] takes 2 m k n operations; a linear layer takes that once forward and
once backward for each of its two gradients, the input's and the weight's. Bytes are
those of fp32.
"""

from dataclasses import dataclass

from mlrpl.bench.measuring import Rates


@dataclass(frozen=True)
class Work:
    """What one forward and backward pass of a part takes.

    Attributes:
        flops: operations of its matrix products, two a multiplication.
        sigmoid: values of a sigmoid or of tanh, one being the other scaled: the costly
            functions of single values.
        bytes: the least that is read and written: each weight, and each tensor that the
            backward pass needs, once in each direction.
    """

    flops: float
    sigmoid: float
    bytes: float

    def floor(self, rates: Rates) -> float:
        """Return the seconds below which the part cannot get at these rates.

        Products and sigmoids use the same units, one after the other; a perfect program
        would move its bytes meanwhile.
        """
        computing = self.flops / rates.flops + self.sigmoid / rates.sigmoid
        return max(computing, self.bytes / rates.bytes)


def decoupling(
    *,
    images: int,
    locations: int,
    channels: int,
    classes: int,
    glove: int,
    joint: int,
    text: int,
    pooled: str = "fused",
    kept: bool = False,
) -> Work:
    """Count the product's semantic decoupling (`methods.visual`).

    Matrix products, the frozen inputs having no gradient:

    - U: 2 x 2 B L K J; V: 2 x 2 C G J; v = P w: 3 x 2 J^2.
    - attention: forward 2 E for the logits and 2 E for the weighted mean; backward 2 E
      for the gradient of the weights, 2 E for that of v, 4 E for that of the tensor.
    - fused: to_text P: 3 x 2 D J^2, and of P's bias: 3 x 2 D J; the mean through it:
      3 x 2 B C J D. Raw, and no
      fewer classes than locations: to_text of the map: 2 x 2 B L K D; the weighted
      mean: 3 x 2 B C L D. Raw and fewer classes: the weighted mean: 2 x 2 B C L K;
      to_text: 3 x 2 B C K D.

    sigmoid: E forward and, where the tensor is not kept, E again backward. On a GPU
    the fused kernels compute 2 E backward, which the floor does not grant them.
    """
    b, l, k, c, j, d = images, locations, channels, classes, joint, text  # noqa: E741
    entries = b * l * c * j
    flops = 4 * b * l * k * j + 4 * c * glove * j + 6 * j * j + 12 * entries
    if pooled == "fused":
        flops += 6 * d * j * j + 6 * d * j + 6 * b * c * j * d
    elif c < l:
        flops += 4 * b * c * l * k + 6 * b * c * k * d
    else:
        flops += 4 * b * l * k * d + 6 * b * c * l * d
    weights = k * j + glove * j + j * j + (j if pooled == "fused" else k) * d
    kept_tensors = b * l * (k + j) + b * c * (l + j + d)
    values = 3 * weights + 2 * kept_tensors + (2 * entries if kept else 0)
    return Work(flops, entries * (1 if kept else 2), 4 * values)


def literal_decoupling(
    *,
    images: int,
    locations: int,
    channels: int,
    classes: int,
    glove: int,
    joint: int,
    text: int,
) -> Work:
    """Count Eq. 3-6 as printed, with the fused feature pooled.

    U: 2 x 2 B L K J; V: 2 x 2 C G J; P: 3 x 2 E J; F_att: 3 x 2 E; to_text:
    3 x 2 B C J D; the weighted sum, forward and backward, 6 E. sigmoid: E. Bytes: the
    product, tanh and P's output are written and read, forward and backward.
    """
    b, l, k, c, j, d = images, locations, channels, classes, joint, text  # noqa: E741
    entries = b * l * c * j
    flops = 4 * b * l * k * j + 4 * c * glove * j + 6 * entries * j
    flops += 12 * entries + 6 * b * c * j * d
    weights = k * j + glove * j + j * j + j * d
    kept_tensors = b * l * (k + j) + b * c * (l + j + d)
    values = 3 * weights + 2 * kept_tensors + 3 * 4 * entries
    return Work(flops, entries, 4 * values)


def text_tower(
    *,
    rows: int,
    prompts: int,
    tokens: int,
    width: int,
    layers: int,
    heads: int,
    text: int,
) -> Work:
    """Count the product's text tower (`text.tower`), forward and backward.

    Its weights are frozen: backward, each product is taken once, for its input. R rows
    of tokens go through the linear maps, and C prompts of T tokens through the
    attention.

    - A layer has 12 W^2 weights: 2 x 2 R 12 W^2. Its attention, the weights of which
      are kept, takes two products of 2 C T^2 W forward and four backward (the causal
      half that could be left out is counted).
    - The last layer: 2 x 2 R 2 W^2 for keys and values, 2 x 2 C 10 W^2 for the rest of
      the ends of text, and products of 2 C T W.
    - Projection: 2 x 2 C W D.

    SiLU has 4 W sigmoids a row, forward and backward. Of each row 9 W values a layer
    are kept, and the attention's weights.
    """
    full = layers - 1
    flops = full * (4 * rows * 12 * width**2 + 12 * prompts * tokens**2 * width)
    flops += 4 * (2 * rows + 10 * prompts) * width**2 + 12 * prompts * tokens * width
    flops += 4 * prompts * width * text
    kept = full * (9 * rows * width + heads * prompts * tokens**2)
    kept += (3 * rows + 6 * prompts) * width + heads * prompts * tokens
    sigmoid = 2 * 4 * width * (full * rows + prompts)
    return Work(flops, sigmoid, 4 * (layers * 2 * 12 * width**2 + 2 * kept))


def literal_text_tower(
    *, prompts: int, tokens: int, width: int, layers: int, text: int
) -> Work:
    """Count the text tower on padded sequences, forward and backward.

    As the product's, with R = C T rows in each layer and with torch's attention, which
    makes its weights again: five products backward. Of each token 10 W values a layer
    are kept.
    """
    rows = prompts * tokens
    linear = 4 * rows * 12 * width**2
    attention = 7 * 2 * rows * tokens * width
    flops = layers * (linear + attention) + 4 * prompts * width * text
    values = layers * (2 * 12 * width**2 + 2 * 10 * rows * width)
    return Work(flops, layers * 4 * rows * width, 4 * values)


def loss(*, images: int, classes: int, text: int) -> Work:
    """Count cosines, scores and the loss, which multiply no matrices.

    Three sigmoid-like functions a score; both features are normalised, multiplied and
    summed, forward and backward.
    """
    scores = images * classes
    features = scores * text + classes * text
    return Work(0, 3 * scores, 4 * 4 * features)


def optimizer(*, parameters: int) -> Work:
    """Count SGD with momentum: gradient read, weight and momentum read and written."""
    return Work(0, 0, 4 * 5 * parameters)
