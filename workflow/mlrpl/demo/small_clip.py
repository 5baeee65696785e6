"""The demo's small CLIP: a ModifiedResNet and a text transformer, trained on captions.

Nothing of the demo's data sets is used: the pictures show things of all looks, from
other seeds. A contrastive loss alone needs far more pictures than two cores can see
before it tells shapes apart, so there are two stages:

1. The image tower learns to name the words of the captions (Mahajan et al. 2018), on
   tiles of one thing. A tile is taken as a window of a picture: the attention pooling
   sees a random 3x3 window of its 7x7 position embeddings, the grid that the workflow
   has at 448 pixels after the 2x2 pooling.
2. The convolutions stay (Zhai et al. 2022), and the attention pooling and the text
   tower learn CLIP's contrastive loss on crowded pictures of 448 pixels.
"""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor, nn
from tqdm import tqdm

from mlrpl.demo.corpus import words_of
from mlrpl.demo.pairs import CAPTIONS, Drawing, draw_pairs
from mlrpl.demo.shapes import SHAPES
from mlrpl.demo.world import COLOURS, CROWDED, GROUNDS, PATTERNS, Crowding
from mlrpl.runtime.storage import atomic_path

NAME = "demo-rn"
CONFIG = Path(__file__).parent / "weights" / f"{NAME}.json"
WORDS = (*SHAPES, *PATTERNS, *COLOURS, *GROUNDS)
ENCODE = 25  # pictures at once through the frozen convolutions


@dataclass(frozen=True)
class Stage:
    """Which pictures one stage of the training sees, how often, and its AdamW."""

    drawing: Drawing
    epochs: int
    batch: int
    rate: float

    @property
    def steps(self) -> int:
        """Optimiser steps."""
        return self.epochs * (self.drawing.count // self.batch)


@dataclass(frozen=True)
class Recipe:
    """The two stages."""

    words: Stage
    contrast: Stage


RECIPE = Recipe(
    words=Stage(
        Drawing(
            stream=20,
            side=96,
            crowding=Crowding(
                (1, 1), (0.35, 0.45, 0.2), ((44, 70), (70, 90), (88, 96))
            ),
            count=10_000,
        ),
        epochs=6,
        batch=64,
        rate=3e-3,
    ),
    contrast=Stage(
        Drawing(stream=21, side=448, crowding=CROWDED, count=2400),
        epochs=17,
        batch=128,
        rate=1e-3,
    ),
)


def build_model() -> open_clip.CLIP:
    """The model of the committed config, freshly drawn."""
    open_clip.add_model_config(CONFIG)
    model = open_clip.create_model(NAME)
    model.visual.to(memory_format=torch.channels_last)
    return model


def normalised(pixels: np.ndarray) -> Tensor:
    """CLIP's normalisation of uint8 pictures [B, S, S, 3]: float32 [B, 3, S, S]."""
    mean = torch.tensor(open_clip.OPENAI_DATASET_MEAN).view(3, 1, 1)
    std = torch.tensor(open_clip.OPENAI_DATASET_STD).view(3, 1, 1)
    return (torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - mean) / std


def last_map(visual: nn.Module, images: Tensor) -> Tensor:
    """The map after layer 4, [B, K, S / 32, S / 32]."""
    out = visual.forward_intermediates(images, indices=1, intermediates_only=True)
    return out["image_intermediates"][0]


def pool_window(pool: nn.Module, maps: Tensor, row: int, column: int) -> Tensor:
    """CLIP's attention pooling with a window of its position embeddings.

    Args:
        pool: open_clip's AttentionPool2d with G x G positions.
        maps: [B, K, h, w] with row + h <= G and column + w <= G.
        row: First row of the window.
        column: First column of the window.

    Returns:
        [B, D]; for the whole grid the same as `pool(maps)`.
    """
    batch, width, h, w = maps.shape
    side = math.isqrt(len(pool.positional_embedding) - 1)
    grid = pool.positional_embedding[1:].view(side, side, width)
    window = grid[row : row + h, column : column + w].reshape(-1, width)
    positions = torch.cat([pool.positional_embedding[:1], window])
    x = maps.flatten(2).transpose(1, 2)
    x = torch.cat([x.mean(1, keepdim=True), x], dim=1) + positions
    heads = (batch, -1, pool.num_heads, width // pool.num_heads)
    q = pool.q_proj(x[:, :1]).view(heads).transpose(1, 2)
    k, v = (f(x).view(heads).transpose(1, 2) for f in (pool.k_proj, pool.v_proj))
    pooled = F.scaled_dot_product_attention(q, k, v)
    return pool.c_proj(pooled.transpose(1, 2).reshape(batch, width))


def word_targets(captions: list[list[str]]) -> Tensor:
    """The words that any of a picture's captions says, each 1 / their number.

    Args:
        captions: Of N pictures, a few sentences each.

    Returns:
        float32 [N, W] over `WORDS`; each row sums to one.
    """
    number = {word: k for k, word in enumerate(WORDS)}
    said = torch.zeros(len(captions), len(WORDS))
    for row, sentences in zip(said, captions, strict=True):
        words = {word for sentence in sentences for word in words_of(sentence)}
        row[[number[word] for word in words & set(WORDS)]] = 1
    return said / said.sum(1, keepdim=True)


def contrastive_loss(model: open_clip.CLIP, images: Tensor, tokens: Tensor) -> Tensor:
    """CLIP's symmetric cross-entropy of image features [B, D] and captions [B, T]."""
    text = model.encode_text(tokens, normalize=True)
    logits = model.logit_scale.exp() * F.normalize(images, dim=-1) @ text.T
    target = torch.arange(len(logits))
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def fit(
    parameters: list[nn.Parameter],
    stage: Stage,
    rng: np.random.Generator,
    loss_of: Callable[[np.ndarray], Tensor],
) -> None:
    """AdamW with warm-up and cosine; `loss_of` gets the numbers of a batch's pairs."""
    steps = stage.steps
    warm = min(40, max(1, steps // 10))
    matrices = [p for p in parameters if p.ndim > 1]
    vectors = [p for p in parameters if p.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": 0.05},
        {"params": vectors, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=stage.rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda s: min(1, (s + 1) / warm) * (1 + math.cos(math.pi * s / steps)) / 2,
    )
    bar = tqdm(_batches(stage, rng), "train", steps, unit="step")
    for rows in bar:
        loss = loss_of(rows)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)


def _batches(stage: Stage, rng: np.random.Generator) -> Iterator[np.ndarray]:
    count, batch = stage.drawing.count, stage.batch
    for _ in range(stage.epochs):
        order = rng.permutation(count)
        for start in range(0, count - batch + 1, batch):
            yield order[start : start + batch]


def fit_words(
    visual: nn.Module, stage: Stage, seed: int, threads: int, rng: np.random.Generator
) -> None:
    """Stage 1: the image tower names the words of a tile's captions.

    Softmax over the words against `word_targets`; tiles in random windows, mirrored at
    random.
    """
    drawing = stage.drawing
    pixels = np.empty((drawing.count, drawing.side, drawing.side, 3), np.uint8)
    captions = []
    for number, pair in enumerate(draw_pairs(drawing, seed, threads)):
        pixels[number] = pair.picture
        captions.append(pair.captions)
    targets = word_targets(captions)
    head = nn.Linear(visual.output_dim, len(WORDS))
    side = math.isqrt(len(visual.attnpool.positional_embedding) - 1)
    room = side - drawing.side // 32 + 1

    def loss_of(rows: np.ndarray) -> Tensor:
        tiles = pixels[rows]
        mirrored = rng.random(len(rows)) < 0.5
        tiles[mirrored] = tiles[mirrored, :, ::-1]
        maps = last_map(visual, normalised(tiles))
        row, column = rng.integers(room, size=2)
        images = pool_window(visual.attnpool, maps, row, column)
        return F.cross_entropy(head(images), targets[rows])

    visual.train()
    fit([*visual.parameters(), *head.parameters()], stage, rng, loss_of)


def fit_contrast(
    model: open_clip.CLIP,
    stage: Stage,
    seed: int,
    threads: int,
    rng: np.random.Generator,
) -> Tensor:
    """Stage 2: pooling and text tower on the frozen, 2x2-pooled maps of pictures.

    Returns:
        The tokens of all captions, int64 [N, 4, T].
    """
    model.eval()
    maps, captions, waiting = [], [], []
    for number, pair in enumerate(draw_pairs(stage.drawing, seed, threads), start=1):
        captions += pair.captions
        waiting.append(pair.picture)
        if len(waiting) == ENCODE or number == stage.drawing.count:
            with torch.no_grad():
                whole = last_map(model.visual, normalised(np.stack(waiting)))
            maps.append(F.avg_pool2d(whole, 2).half())
            waiting = []
    features = torch.cat(maps)
    tokens = open_clip.get_tokenizer(NAME)(captions).view(len(features), CAPTIONS, -1)

    def loss_of(rows: np.ndarray) -> Tensor:
        with torch.no_grad():
            model.logit_scale.clamp_(max=math.log(100))
        images = model.visual.attnpool(features[rows].float())
        said = tokens[rows, rng.integers(CAPTIONS, size=len(rows))]
        return contrastive_loss(model, images, said)

    text = [p for n, p in model.named_parameters() if not n.startswith("visual.")]
    fit([*model.visual.attnpool.parameters(), *text], stage, rng, loss_of)
    with torch.no_grad():
        model.logit_scale.clamp_(max=math.log(100))
    return tokens


def checkpoint(model: open_clip.CLIP, used: Tensor) -> dict[str, Tensor]:
    """The model's tensors in fp16; embeddings of tokens never seen are zero.

    Args:
        model: The trained model.
        used: The token ids that captions contain, int64.
    """
    state = {name: t.detach().clone() for name, t in model.state_dict().items()}
    seen = torch.zeros(len(state["token_embedding.weight"]), 1)
    seen[used] = 1
    state["token_embedding.weight"] *= seen
    return {
        name: t.half().contiguous() if t.is_floating_point() else t
        for name, t in state.items()
    }


def make_clip(
    folder: Path, recipe: Recipe = RECIPE, threads: int = 2, seed: int = 0
) -> None:
    """Train the CLIP and write `demo-rn.safetensors` and `demo-rn.json`.

    Args:
        folder: Where the two files go.
        recipe: The training.
        threads: Cores to use; the result depends on it in the last digits.
        seed: Of the pictures, the first weights and the order.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    model = build_model()
    rng = np.random.default_rng([seed, 30])
    fit_words(model.visual, recipe.words, seed, threads, rng)
    tokens = fit_contrast(model, recipe.contrast, seed, threads, rng)
    state = checkpoint(model, tokens.unique())
    with atomic_path(folder / f"{NAME}.safetensors") as path:
        path.write_bytes(save(state))
    with atomic_path(folder / f"{NAME}.json") as path:
        path.write_text(json.dumps(json.loads(CONFIG.read_text()), indent=4) + "\n")
