"""Tokens: every location in the joint space, in feature files of their own."""

import io

import h5py
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from mlrpl.encoder.images import CLIP_MEAN, CLIP_STD
from mlrpl.encoder.tokens import TokenTower
from mlrpl.encoder.towers import make_tower
from mlrpl.errors import UserError
from mlrpl.training.feature_cache import FeatureCache
from support import tiny_clip
from support.pictures import COUNT, SIZE

pytestmark = pytest.mark.usefixtures("one_thread")


def literal_tokens(model, data, positions):
    """v_proj and c_proj of each location of `layer4`, and of their mean before them."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    image = image.resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    pixels = torch.from_numpy(np.array(image)) / 255
    images = ((pixels - torch.tensor(CLIP_MEAN)) / torch.tensor(CLIP_STD)).permute(
        2, 0, 1
    )
    pool = model.visual.attnpool
    with torch.no_grad():
        x = model.visual.stem(images[None])
        for layer in "1234":
            x = getattr(model.visual, f"layer{layer}")(x)
        grid = x.shape[2:]
        x = x.flatten(2).transpose(1, 2)[0]
        x = torch.cat([x.mean(dim=0, keepdim=True), x])
        if positions:
            embedding = pool.positional_embedding
            side = round((len(embedding) - 1) ** 0.5)
            square = embedding[1:].T.reshape(1, -1, side, side)
            square = F.interpolate(square, grid, mode="bicubic", align_corners=False)
            x = x + torch.cat([embedding[:1], square[0].flatten(1).T])
        return pool.c_proj(pool.v_proj(x))


def test_tokens_are_the_models_with_and_without_positions(make, pictures):
    file = make(tokens=True, views=("full", "flip"))
    model = tiny_clip.build(tiny_clip.RESNET)
    cache = FeatureCache([file])
    count, tokens, width = cache.shape("tokens")
    assert (count, width) == (COUNT, 24) and cache.grid[0] * cache.grid[1] == tokens
    assert not cache.has("map") and cache.has("tokens")
    found = torch.from_numpy(cache.read("tokens")).float()
    positions = torch.from_numpy(cache.token_positions())
    whole = torch.cat([found.mean(dim=1, keepdim=True), found], dim=1)
    for row, data in enumerate(pictures.values()):
        for shown, embedded in ((whole, False), (whole + positions, True)):
            expected = literal_tokens(model, data, embedded)
            np.testing.assert_allclose(shown[row], expected, rtol=5e-3, atol=2e-3)


def test_they_go_with_the_maps_grid_before_pooling(make):
    maps, tokens = FeatureCache([make()]), FeatureCache([make("t.h5", tokens=True)])
    assert tokens.grid == tuple(2 * side for side in maps.grid)
    assert tokens.shape("tokens")[1] == 4 * maps.shape("map")[1]
    same = ("images_sha256", "weights_sha256", "image_size", "images_total")
    assert all(maps.provenance[key] == tokens.provenance[key] for key in same)


def test_files_of_the_other_kind_are_one_line(make):
    maps, tokens = FeatureCache([make()]), FeatureCache([make("t.h5", tokens=True)])
    with pytest.raises(UserError, match="has no tokens features, which the method"):
        maps.shape("tokens")
    with pytest.raises(UserError, match="has no map features, which the method reads"):
        tokens.shape("map")


def test_tokens_without_their_positions_are_one_line(make):
    file = make(tokens=True)
    with h5py.File(file, "a") as opened:
        del opened["token_positions"]
    with pytest.raises(UserError, match="token_positions"):
        FeatureCache([file]).token_positions()
    with h5py.File(file, "a") as opened:
        opened["token_positions"] = np.zeros((3, 2), np.float32)
    with pytest.raises(UserError, match="not of its tokens"):
        FeatureCache([file]).token_positions()


@pytest.mark.parametrize("config", [tiny_clip.MOBILE, tiny_clip.TRANSFORMER])
def test_tokens_of_other_towers_are_their_own_projection(config):
    """Without attention pooling: each location by the tower's linear map."""
    visual = tiny_clip.build(config).visual
    size = 128 if config is tiny_clip.MOBILE else 32
    images = torch.randn(2, 3, size, size)
    with torch.inference_mode():
        tower = TokenTower(make_tower(visual))
        found = tower.encode(images)
        if config is tiny_clip.MOBILE:
            whole = visual.trunk.forward_features(images)
            expected = visual.head(whole.movedim(1, -1).flatten(1, 2))
            mean = visual(images)
            torch.testing.assert_close(found.tokens.mean(1), mean, rtol=1e-4, atol=1e-5)
        else:
            visual.output_tokens = True
            _, patches = visual(images)
            expected = patches @ visual.proj
    assert found.grid == (4, 4) and found.tokens.shape == (2, 16, 24)
    torch.testing.assert_close(found.tokens, expected, rtol=1e-4, atol=1e-5)
    positions = tower.positions(found.grid)
    assert positions.shape == (17, 24) and not positions.any()


def test_a_tower_without_a_linear_map_is_one_line():
    vision = tiny_clip.MOBILE["vision_cfg"] | {"timm_proj": "mlp"}
    visual = tiny_clip.build(tiny_clip.MOBILE | {"vision_cfg": vision}).visual
    with pytest.raises(UserError, match="has no linear map into") as caught:
        TokenTower(make_tower(visual))
    assert "\n" not in str(caught.value)
