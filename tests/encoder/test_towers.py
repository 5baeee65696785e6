"""Image towers against open_clip and literal forward passes."""

import math
from types import SimpleNamespace

import open_clip
import pytest
import torch
import torch.nn.functional as F

from mlrpl.encoder.clip import load_clip
from mlrpl.encoder.towers import make_tower, resized_pool
from support import tiny_clip
from support.data_files import fails
from support.encoders import near, random_rn101

pytestmark = pytest.mark.usefixtures("inference")


@pytest.fixture(scope="module")
def rn101(tmp_path_factory):
    return random_rn101(tmp_path_factory.mktemp("rn101"))


@pytest.fixture
def tiny(tmp_path):
    return tiny_clip.write(tmp_path, tiny_clip.RESNET)


def literal_resnet(visual, x):
    for number in "123":
        x = getattr(visual, f"conv{number}")(x)
        x = getattr(visual, f"bn{number}")(x).clamp(min=0)
    x = F.avg_pool2d(x, 2)
    layers = (visual.layer1, visual.layer2, visual.layer3, visual.layer4)
    for number, layer in enumerate(layers):
        for block in layer:
            first = number > 0 and block is layer[0]
            y = block.bn1(block.conv1(x)).clamp(min=0)
            y = block.bn2(block.conv2(y)).clamp(min=0)
            y = block.bn3(block.conv3(F.avg_pool2d(y, 2) if first else y))
            x = F.avg_pool2d(x, 2) if first else x
            if block is layer[0]:
                x = block.downsample[2](block.downsample[1](x))
            x = (x + y).clamp(min=0)
    return x


def literal_attention_pool(pool, maps, heads):
    """One query, the mean location, over all locations and itself."""
    out = []
    for locations in maps.flatten(2).transpose(1, 2):
        x = torch.cat([locations.mean(0, keepdim=True), locations])
        x = x + pool.positional_embedding
        q = x[:1] @ pool.q_proj.weight.T + pool.q_proj.bias
        k = x @ pool.k_proj.weight.T + pool.k_proj.bias
        v = x @ pool.v_proj.weight.T + pool.v_proj.bias
        size = x.shape[1] // heads
        mixed = []
        for h in range(heads):
            part = slice(h * size, (h + 1) * size)
            weights = (q[:, part] @ k[:, part].T / math.sqrt(size)).softmax(-1)
            mixed.append(weights @ v[:, part])
        x = torch.cat(mixed, 1) @ pool.c_proj.weight.T + pool.c_proj.bias
        out.append(x[0])
    return torch.stack(out)


def test_rn101_at_448_equals_a_literal_forward(rn101):
    clip, model = rn101
    images = torch.randn(1, 3, 448, 448)
    encoded = make_tower(clip.model.visual).encode(images)
    full = literal_resnet(model.visual, images)
    assert full.shape == (1, 2048, 14, 14)
    pooled = torch.stack([full[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)]).mean(
        0
    )
    assert encoded.grid == (7, 7)
    near(encoded.map, pooled.flatten(2).transpose(1, 2))
    near(encoded.feature, literal_attention_pool(model.visual.attnpool, pooled, 32))
    assert encoded.feature.shape == (1, 512)


def test_the_literal_attention_pool_is_open_clips(rn101):
    # At 224 px the unpooled map has the 7x7 locations that the model itself pools.
    _, model = rn101
    images = torch.randn(2, 3, 224, 224)
    maps = literal_resnet(model.visual, images)
    ours = literal_attention_pool(model.visual.attnpool, maps, 32)
    near(ours, model.encode_image(images))


def test_rn101_projection_is_what_attention_pooling_does_to_one_location(rn101):
    clip, model = rn101
    tower = make_tower(clip.model.visual)
    weight, bias = tower.projection()
    assert weight.shape == (2048, 512) and bias.shape == (512,)
    assert tower.channels == 2048
    # With one location its mean is itself, whatever the attention weights; without
    # position embeddings nothing else is added.
    pool = resized_pool(model.visual.attnpool, (1, 1))
    pool.positional_embedding.zero_()
    location = torch.randn(3, 2048, 1, 1)
    near(location[:, :, 0, 0] @ weight + bias, pool(location))


def test_other_sizes_interpolate_the_position_embeddings(tiny, capsys):
    config, checkpoint, model = tiny
    clip = load_clip(config, checkpoint, 192)
    tower = make_tower(clip.model.visual)
    images = torch.randn(1, 3, 128, 128)
    tower.encode(images)
    assert "interpolated" not in capsys.readouterr().err
    images = torch.randn(1, 3, 192, 192)
    encoded = tower.encode(images)
    assert encoded.grid == (3, 3)
    assert "2x2, are interpolated to 3x3; at 128 px none are" in capsys.readouterr().err
    # open_clip's own resizing of a transformer's position embeddings
    state = {"visual.positional_embedding": model.visual.attnpool.positional_embedding}
    open_clip.model.resize_pos_embed(
        state, SimpleNamespace(visual=SimpleNamespace(grid_size=(3, 3)))
    )
    pool = resized_pool(model.visual.attnpool, (3, 3))
    near(pool.positional_embedding, state["visual.positional_embedding"])
    maps = encoded.map.transpose(1, 2).unflatten(2, (3, 3))
    near(encoded.feature, literal_attention_pool(pool, maps, 4))


def test_transformer_equals_a_literal_forward(tmp_path):
    config, checkpoint, model = tiny_clip.write(tmp_path, tiny_clip.TRANSFORMER)
    clip = load_clip(config, checkpoint, 32)
    images = torch.randn(2, 3, 32, 32)
    tower = make_tower(clip.model.visual)
    encoded = tower.encode(images)
    visual = model.visual
    x = visual.conv1(images).flatten(2).transpose(1, 2)
    x = torch.cat([visual.class_embedding.expand(2, 1, -1), x], 1)
    x = visual.ln_pre(x + visual.positional_embedding)
    for block in visual.transformer.resblocks:
        h = block.ln_1(x)
        x = x + block.attn(h, h, h)[0]
        x = x + block.mlp(block.ln_2(x))
    x = visual.ln_post(x)
    maps = x[:, 1:].reshape(2, 4, 4, 32)
    pooled = (maps[:, ::2] + maps[:, 1::2])[:, :, ::2] / 4
    pooled = pooled + (maps[:, ::2] + maps[:, 1::2])[:, :, 1::2] / 4
    assert encoded.grid == (2, 2)
    near(encoded.map, pooled.reshape(2, 4, 32))
    near(encoded.feature, model.encode_image(images))
    weight, bias = tower.projection()
    near(x[:, 0] @ weight + bias, encoded.feature)
    assert tower.channels == 32


def test_transformer_position_embeddings_are_resized_as_open_clip_does(tmp_path):
    config, checkpoint, _ = tiny_clip.write(
        tmp_path, tiny_clip.TRANSFORMER, "tiny-transformer-of-a-test"
    )
    open_clip.add_model_config(config)
    theirs = open_clip.create_model(
        "tiny-transformer-of-a-test", checkpoint, force_image_size=40
    ).eval()
    clip = load_clip(config, checkpoint, 40)
    images = torch.randn(1, 3, 40, 40)
    encoded = make_tower(clip.model.visual).encode(images)
    assert encoded.grid == (2, 2)  # 5x5 patches: the odd row and column are left out
    near(encoded.feature, theirs.encode_image(images))
    assert clip.weights_sha256 != load_clip(config, checkpoint, 32).weights_sha256


def test_timm_network_equals_a_literal_forward(tmp_path):
    config, checkpoint, model = tiny_clip.write(tmp_path, tiny_clip.MOBILE)
    clip = load_clip(config, checkpoint, 128)
    images = torch.randn(2, 3, 128, 128)
    tower = make_tower(clip.model.visual)
    encoded = tower.encode(images)
    trunk = model.visual.trunk
    x = trunk.bn1(trunk.conv_stem(images))
    for stage in trunk.blocks:
        for block in stage:
            x = block(x)
    x = trunk.bn2(trunk.conv_head(x))
    assert x.shape == (2, 1280, 4, 4)
    assert encoded.grid == (2, 2)
    near(encoded.map, F.avg_pool2d(x, 2).flatten(2).transpose(1, 2))
    near(encoded.feature, model.encode_image(images))
    weight, bias = tower.projection()
    assert bias.abs().min() > 0
    near(encoded.map.mean(1) @ weight + bias, encoded.feature)
    assert tower.channels == 1280


@pytest.mark.parametrize(
    ("changes", "linear"),
    [
        ({"timm_proj": ""}, True),  # the network's own classifier
        ({"timm_proj": "mlp"}, False),
        ({"timm_model_name": "convnext_atto"}, False),  # normalises after the pooling
    ],
)
def test_timm_projection_is_there_only_if_linear(changes, linear):
    vision = tiny_clip.MOBILE["vision_cfg"] | changes
    model = tiny_clip.build(tiny_clip.MOBILE | {"vision_cfg": vision})
    tower = make_tower(model.visual)
    encoded = tower.encode(torch.randn(1, 3, 128, 128))
    assert encoded.feature.shape == (1, 24)
    assert (tower.projection() is not None) == linear
    if linear:
        weight, bias = tower.projection()
        near(encoded.map.mean(1) @ weight + bias, encoded.feature)


def test_towers_without_a_map_are_refused():
    vision = {"timm_model_name": "vit_tiny_patch16_224", "image_size": 224}
    model = tiny_clip.build(tiny_clip.MOBILE | {"vision_cfg": vision})
    fails(make_tower, model.visual, match="VisionTransformer gives no spatial map")
    fails(make_tower, torch.nn.Linear(2, 2), match="Linear is of no supported class")
    vision = tiny_clip.TRANSFORMER["vision_cfg"] | {"attentional_pool": True}
    model = tiny_clip.build(tiny_clip.TRANSFORMER | {"vision_cfg": vision})
    fails(make_tower, model.visual, match="pools its tokens by a learned attention")


def test_an_image_too_small_for_a_map_is_refused(tiny):
    clip = load_clip(*tiny[:2], 32)
    tower = make_tower(clip.model.visual)
    fails(tower.encode, torch.zeros(1, 3, 32, 32), match="image_size: the map is 1x1")
