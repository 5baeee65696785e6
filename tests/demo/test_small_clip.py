"""The demo's small CLIP: its checkpoint, its scores and its training."""

import json
from dataclasses import replace

import numpy as np
import open_clip
import pytest
import torch
from safetensors import safe_open

from mlrpl.demo import small_clip
from mlrpl.demo.drawing import draw_scene
from mlrpl.evaluation.average_precision import average_precision
from support.demo_scenes import SPLITS, WORLDS

WEIGHTS = small_clip.CONFIG.with_suffix(".safetensors")


@pytest.fixture(scope="module")
def model():
    open_clip.add_model_config(small_clip.CONFIG)
    return open_clip.create_model(small_clip.NAME, pretrained=str(WEIGHTS)).eval()


def test_checkpoint_is_small_whole_and_loads_strictly(model):
    size = sum(path.stat().st_size for path in WEIGHTS.parent.iterdir())
    assert size <= 8e6
    with safe_open(WEIGHTS, "pt") as file:
        stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    state = model.state_dict()
    assert set(stored) == set(state)
    for name, tensor in stored.items():
        assert torch.isfinite(tensor).all()
        assert torch.equal(tensor.to(state[name].dtype), state[name])
    assert isinstance(model.visual, open_clip.modified_resnet.ModifiedResNet)
    assert 1 < model.logit_scale.exp() <= 100.1


def test_pool_window_over_the_whole_grid_is_clips_pooling(model):
    maps = torch.randn(2, 512, 7, 7, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours = small_clip.pool_window(model.visual.attnpool, maps, 0, 0)
        theirs = model.visual.attnpool(maps)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", SPLITS)
def test_zero_shot_is_far_above_chance_and_far_from_perfect(model, name):
    world, split = WORLDS[name], SPLITS[name][1]
    scenes = [split.scene(10_000 + number) for number in range(64)]
    labels = np.stack([scene.labels(world) for scene in scenes])
    pictures = [draw_scene(scene).resize((448, 448)) for scene in scenes]
    pixels = np.stack([np.asarray(picture) for picture in pictures])
    tokens = open_clip.get_tokenizer(small_clip.NAME)(list(world.names))
    with torch.no_grad():
        text = model.encode_text(tokens, normalize=True)
        maps = small_clip.last_map(model.visual, small_clip.normalised(pixels))
        images = model.visual.attnpool(torch.nn.functional.avg_pool2d(maps, 2))
    targets = np.where(labels, 1, -1)
    seen = labels.any(0)
    found = average_precision((images @ text.T).numpy(), targets).envelope[seen].mean()
    chance = 100 * labels[:, seen].mean()
    assert 1.5 * chance < found < 75


def test_word_targets_share_one_among_the_words_said():
    targets = small_clip.word_targets(
        [["A red ball.", "a ball on grass"], ["we see a key"]]
    )
    said = [
        {small_clip.WORDS[k]: row[k].item() for k in row.nonzero()[:, 0]}
        for row in targets
    ]
    third = pytest.approx(1 / 3)
    assert said == [{"red": third, "ball": third, "grass": third}, {"key": 1.0}]


def test_the_training_runs_and_leaves_a_checkpoint_that_loads(tmp_path):
    def few(stage):
        drawing = replace(stage.drawing, count=32)
        return replace(stage, drawing=drawing, epochs=1, batch=16)

    recipe = small_clip.Recipe(
        few(small_clip.RECIPE.words), few(small_clip.RECIPE.contrast)
    )
    small_clip.make_clip(tmp_path, recipe, threads=1)
    made = open_clip.create_model(
        small_clip.NAME, pretrained=str(tmp_path / "demo-rn.safetensors")
    )
    config = json.loads((tmp_path / "demo-rn.json").read_text())
    assert config == json.loads(small_clip.CONFIG.read_text())
    embedding = made.token_embedding.weight
    used = (embedding != 0).any(1).nonzero()[:, 0].tolist()
    words = open_clip.get_tokenizer(small_clip.NAME).decode(used)
    assert "striped" in words and "cat" not in words.split()
