"""The demo's small CLIP: a ModifiedResNet and a text transformer, trained on captions.

Nothing of the demo's data sets is used: the pictures show things of all looks, from
other seeds. They are tiles of 128 pixels with one or two things, so that half an hour
on two cores is enough. A tile is taken as a window of a picture: the attention pooling
sees a random 4x4 window of its 7x7 position embeddings, the grid that the workflow
has at 448 pixels after the 2x2 pooling.
"""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor, nn
from tqdm import tqdm

from mlrpl.demo.corpus import caption
from mlrpl.demo.drawing import draw_scene
from mlrpl.demo.world import OPEN_WORLD, Crowding, sample_scene
from mlrpl.storage import atomic_path

NAME = "demo-rn"
CONFIG = Path(__file__).parent / "weights" / f"{NAME}.json"
CAPTIONS = 4  # of each picture; one is drawn at each step


@dataclass(frozen=True)
class Recipe:
    """Which pictures the training draws, and how long it lasts."""

    stream: int
    side: int
    crowding: Crowding
    count: int
    epochs: int
    batch: int
    rate: float


RECIPE = Recipe(
    stream=20,
    side=128,
    crowding=Crowding((1, 2), (0.35, 0.45, 0.2), ((38, 64), (64, 105), (105, 150))),
    count=20_000,
    epochs=4,
    batch=128,
    rate=2e-3,
)


@dataclass(frozen=True)
class Pairs:
    """Pictures uint8 [N, S, S, 3] on disk, and captions' tokens int64 [N, 4, T]."""

    pixels: np.ndarray
    tokens: Tensor


def _pair(recipe: Recipe, seed: int, number: int) -> tuple[np.ndarray, list[str]]:
    rng = np.random.default_rng([seed, recipe.stream, number])
    scene = sample_scene(rng, OPEN_WORLD, recipe.side, recipe.side, recipe.crowding)
    captions = [caption(rng, scene) for _ in range(CAPTIONS)]
    return np.asarray(draw_scene(scene)), captions


def draw_pairs(recipe: Recipe, seed: int, processes: int) -> Pairs:
    """Draw the pictures and captions of a recipe into a temporary file."""
    shape = (recipe.count, recipe.side, recipe.side, 3)
    with TemporaryFile() as file:
        pixels = np.memmap(file, np.uint8, "w+", shape=shape)
    sentences: list[str] = []
    with get_context("spawn").Pool(processes) as pool:
        pairs = pool.imap(partial(_pair, recipe, seed), range(recipe.count), 32)
        for number, (picture, captions) in enumerate(
            tqdm(pairs, "draw", recipe.count, unit="picture")
        ):
            pixels[number] = picture
            sentences += captions
    tokens = open_clip.get_tokenizer(NAME)(sentences)
    return Pairs(pixels, tokens.view(recipe.count, CAPTIONS, -1))


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


def contrastive_loss(model: open_clip.CLIP, images: Tensor, tokens: Tensor) -> Tensor:
    """CLIP's symmetric cross-entropy of image features [B, D] and captions [B, T]."""
    text = model.encode_text(tokens, normalize=True)
    logits = model.logit_scale.exp() * F.normalize(images, dim=-1) @ text.T
    target = torch.arange(len(logits))
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def fit(
    model: open_clip.CLIP,
    parameters: list[nn.Parameter],
    recipe: Recipe,
    rng: np.random.Generator,
    loss_of: Callable[[np.ndarray], Tensor],
) -> None:
    """AdamW with warm-up and cosine; `loss_of` gets the numbers of a batch's pairs."""
    steps = recipe.epochs * (recipe.count // recipe.batch)
    warm = min(60, max(1, steps // 10))
    matrices = [p for p in parameters if p.ndim > 1]
    vectors = [p for p in parameters if p.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": 0.05},
        {"params": vectors, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=recipe.rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda s: min(1, (s + 1) / warm) * (1 + math.cos(math.pi * s / steps)) / 2,
    )
    bar = tqdm(_batches(recipe, rng), "train", steps, unit="step")
    for rows in bar:
        loss = loss_of(rows)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            model.logit_scale.clamp_(max=math.log(100))
        bar.set_postfix(loss=f"{loss.item():.3f}")


def _batches(recipe: Recipe, rng: np.random.Generator) -> Iterator[np.ndarray]:
    for _ in range(recipe.epochs):
        order = rng.permutation(recipe.count)
        for start in range(0, recipe.count - recipe.batch + 1, recipe.batch):
            yield order[start : start + recipe.batch]


def _captions(pairs: Pairs, rows: np.ndarray, rng: np.random.Generator) -> Tensor:
    return pairs.tokens[rows, rng.integers(CAPTIONS, size=len(rows))]


def fit_tiles(
    model: open_clip.CLIP, pairs: Pairs, recipe: Recipe, rng: np.random.Generator
) -> None:
    """Train everything on tiles in random windows, mirrored at random."""
    visual = model.visual
    room = math.isqrt(len(visual.attnpool.positional_embedding) - 1) + 1
    room -= recipe.side // 32

    def loss_of(rows: np.ndarray) -> Tensor:
        pixels = np.where(
            rng.random(len(rows))[:, None, None, None] < 0.5,
            pairs.pixels[rows],
            pairs.pixels[rows][:, :, ::-1],
        )
        maps = last_map(visual, normalised(pixels))
        row, column = rng.integers(room, size=2)
        images = pool_window(visual.attnpool, maps, row, column)
        return contrastive_loss(model, images, _captions(pairs, rows, rng))

    model.train()
    fit(model, list(model.parameters()), recipe, rng, loss_of)


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
    pairs = draw_pairs(recipe, seed, threads)
    fit_tiles(model, pairs, recipe, np.random.default_rng([seed, 30]))
    state = checkpoint(model, pairs.tokens.unique())
    with atomic_path(folder / f"{NAME}.safetensors") as path:
        path.write_bytes(save(state))
    with atomic_path(folder / f"{NAME}.json") as path:
        path.write_text(json.dumps(json.loads(CONFIG.read_text()), indent=4) + "\n")
