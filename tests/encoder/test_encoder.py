"""Loading, towers and export against open_clip and literal forward passes."""

import json
import math
import pickle
import warnings
from pathlib import Path
from types import SimpleNamespace

import open_clip
import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file

from support import tiny_clip
from support.data_files import fails
from mlrpl import __main__
from mlrpl.text.clip_text import ClipText
from mlrpl.data.index import Index
from mlrpl.encoder import clip as clip_module
from mlrpl.encoder.clip import load_clip, tensors_sha256, tokenize
from mlrpl.text.export import export_clip, text_tensors
from mlrpl.encoder.towers import make_tower, resized_pool
from mlrpl.text.prompts import Prompts
from mlrpl.text.tower import TextTower

NAMES = ("person", "traffic light", "tvmonitor")


def near(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module", autouse=True)
def settings():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.no_grad():
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def rn101(tmp_path_factory):
    """A full-size RN101 with random weights, loaded as the published one would be."""
    path = tmp_path_factory.mktemp("rn101") / "model.safetensors"
    torch.manual_seed(0)
    model = tiny_clip.shake(
        open_clip.CLIP(**open_clip.get_model_config("RN101-quickgelu"))
    )
    save_file({k: v.half() for k, v in model.state_dict().items()}, path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clip_module, "download_pretrained", lambda entry: str(path))
        clip = load_clip("RN101-quickgelu", "openai", 448)
    path.unlink()
    return clip, model


@pytest.fixture
def tiny(tmp_path):
    return tiny_clip.write(tmp_path, tiny_clip.RESNET)


# ------------------------------------------------------------------------------- towers


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


# ------------------------------------------------------------------------------ loading


def scripted(model, path):
    """Save a model as OpenAI did: a TorchScript archive with three numbers in it."""
    mask = model.attn_mask
    del model.attn_mask  # a constant of the archive, no tensor of it
    object.__setattr__(model, "attn_mask", mask)
    for name in ("input_resolution", "context_length", "vocab_size"):
        if name in vars(model):
            delattr(model, name)
        model.register_buffer(name, torch.tensor(1))
    context = model.positional_embedding.shape[0]
    inputs = torch.zeros(1, 3, 64, 64), torch.zeros(1, context, dtype=torch.long)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(model, inputs, check_trace=False), path)
    return str(path)


def test_every_file_format_gives_the_same_model(tiny, tmp_path):
    config, checkpoint, model = tiny
    state = model.state_dict()
    files = [checkpoint]
    for name, content in {
        "plain.pt": state,
        "training.pt": {
            "epoch": 3,
            "state_dict": {f"module.{k}": v for k, v in state.items()},
        },
        "half.bin": {k: v.half() for k, v in state.items()},
        "old.pth": {k: v for k, v in state.items() if "num_batches" not in k},
    }.items():
        torch.save(content, tmp_path / name)
        files.append(str(tmp_path / name))
    save_file({k: v.half() for k, v in state.items()}, tmp_path / "half.safetensors")
    files.append(str(tmp_path / "half.safetensors"))
    files.append(scripted(tiny_clip.build(tiny_clip.RESNET), tmp_path / "jit.pt"))
    image, text = torch.randn(1, 3, 64, 64), torch.tensor([[49406, 320, 49407, 0]])
    text = F.pad(text, (0, 12))
    hashes = set()
    for file in files:
        clip = load_clip(config, file, 64)
        tensors, _ = text_tensors(clip)
        hashes.add((clip.weights_sha256, tensors_sha256(tensors)))
        assert torch.equal(clip.model.encode_image(image), model.encode_image(image))
        assert torch.equal(clip.model.encode_text(text), model.encode_text(text))
        assert not any(p.requires_grad for p in clip.model.parameters())
        assert {p.dtype for p in clip.model.parameters()} == {torch.float32}
    assert len(hashes) == 1


def test_the_hash_sees_names_values_and_shapes_but_not_the_precision():
    tensors = {"b": torch.arange(6.0).reshape(2, 3), "a": torch.ones(2)}
    reference = tensors_sha256(tensors)
    assert reference == tensors_sha256(dict(reversed(tensors.items())))
    assert reference == tensors_sha256({k: v.half() for k, v in tensors.items()})
    counted = tensors | {"bn.num_batches_tracked": torch.tensor(7)}
    assert reference == tensors_sha256(counted)
    for other in (
        tensors | {"a": torch.tensor([1, 1.001])},
        tensors | {"b": tensors["b"].reshape(3, 2)},
        {"b": tensors["b"], "c": tensors["a"]},
        tensors | {"a": torch.ones(2, dtype=torch.int64)},
    ):
        assert tensors_sha256(other) != reference
    assert tensors_sha256(tensors, "quick_gelu") != reference


def test_the_hash_of_a_transformer_depends_on_its_activation(tmp_path):
    config, checkpoint, _ = tiny_clip.write(tmp_path, tiny_clip.TRANSFORMER)
    quick = tmp_path / "quick.json"
    quick.write_text(json.dumps(tiny_clip.TRANSFORMER | {"quick_gelu": True}))
    clips = [load_clip(str(path), checkpoint, 32) for path in (config, quick)]
    assert [clip.activation for clip in clips] == ["gelu", "quick_gelu"]
    assert clips[0].weights_sha256 != clips[1].weights_sha256


def test_rn101_with_openais_weights_must_be_the_quickgelu_one():
    fails(
        load_clip,
        "RN101",
        "openai",
        448,
        match="RN101: its weights openai were trained with QuickGELU.*"
        "use RN101-quickgelu",
    )


def test_openais_archive_needs_quickgelu_under_any_name(tmp_path):
    config = tmp_path / "gelu.json"
    config.write_text(json.dumps(tiny_clip.RESNET | {"quick_gelu": False}))
    file = scripted(tiny_clip.build(tiny_clip.RESNET), tmp_path / "jit.pt")
    fails(load_clip, str(config), file, 64, match='OpenAI.*set "quick_gelu": true')


def test_unknown_names_are_refused(tiny, monkeypatch):
    config, checkpoint, _ = tiny
    fails(load_clip, "RN110", "openai", 448, match="none of this name; did you mean RN")
    fails(load_clip, "nonsense", "openai", 448, match="none of this name")
    fails(
        load_clip,
        "RN101-quickgelu",
        "opneai",
        448,
        match="no such tag; give openai or yfcc15m, or the path",
    )
    fails(load_clip, "RN101", "gone.pt", 448, match="gone.pt: no checkpoint is there")
    fails(load_clip, config, "openai", 448, match="openai: no checkpoint is there")
    fails(load_clip, "gone.json", checkpoint, 448, match=r"gone\.json: cannot be read")

    def offline(entry):
        raise FileNotFoundError("no network\nat all")

    monkeypatch.setattr(clip_module, "download_pretrained", offline)
    fails(
        load_clip,
        "RN101-quickgelu",
        "openai",
        448,
        match=r"openai could not be downloaded \(no network at all\); fetch",
    )


def test_wrong_configs_are_refused(tiny, tmp_path):
    _, checkpoint, _ = tiny
    path = tmp_path / "other.json"

    def refused(content, match):
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        fails(load_clip, str(path), checkpoint, 64, match=match)

    refused("{", "is no JSON")
    refused([], "has no embed_dim")
    refused({"embed_dim": 3, "vision_cfg": {}}, "has no text_cfg")
    refused(tiny_clip.RESNET | {"vision_cfg": {"depth": 3}}, "cannot build it .*depth")
    timm = {"timm_model_name": "no_such_net"}
    refused(tiny_clip.RESNET | {"vision_cfg": timm}, "cannot build it .*no_such_net")
    text = {"hf_model_name": "roberta-base"}
    refused(tiny_clip.RESNET | {"text_cfg": text}, "hf_model_name is not supported")


def test_a_checkpoint_of_another_architecture_names_the_first_tensor(tiny, tmp_path):
    config, checkpoint, model = tiny
    wide = tiny_clip.RESNET["vision_cfg"] | {"width": 16}
    other, _, _ = tiny_clip.write(
        tmp_path, tiny_clip.RESNET | {"vision_cfg": wide}, "wide"
    )
    fails(
        load_clip,
        other,
        checkpoint,
        64,
        match="another architecture than .*wide.json: it has a tensor "
        r"visual\.conv1\.weight of 4x3x3x3 instead of 8x3x3x3; give",
    )
    state = model.state_dict()

    def refused(change, match):
        torch.save(change, tmp_path / "changed.pt")
        fails(load_clip, config, str(tmp_path / "changed.pt"), 64, match=match)

    refused(state | {"more": torch.zeros(1)}, "a tensor more, which that lacks")
    del state["visual.layer4.0.conv2.weight"]
    refused(state, r"has no tensor visual\.layer4\.0\.conv2\.weight; give")
    fails(
        load_clip, "RN50-quickgelu", checkpoint, 224, match="another architecture than"
    )


def test_damaged_checkpoints_are_refused(tiny, tmp_path):
    config, checkpoint, model = tiny
    torch.save(model.state_dict(), tmp_path / "whole.pt")
    file = tmp_path / "damaged"
    for whole in (checkpoint, tmp_path / "whole.pt"):
        content = Path(whole).read_bytes()
        for part in (content[: len(content) // 2], content[:100], b""):
            file.write_bytes(part)
            fails(load_clip, config, str(file), 64, match="truncated or damaged")
    file.write_text("<html>no such page</html>")
    fails(load_clip, config, str(file), 64, match="damaged, or")
    for content in ({"a": 3}, [torch.zeros(1)], {}, {"state_dict": None}):
        torch.save(content, file)
        fails(load_clip, config, str(file), 64, match="is no state dict")


class Mischief:
    def __reduce__(self):
        return (pytest.fail, ("the checkpoint's code was run",))


def test_code_in_a_checkpoint_is_not_run(tiny, tmp_path):
    file = tmp_path / "code.pt"
    torch.save({"a": Mischief()}, file, pickle_protocol=2)
    fails(load_clip, tiny[0], str(file), 64, match="holds more than tensors")
    file.write_bytes(pickle.dumps(Mischief(), 2))
    fails(load_clip, tiny[0], str(file), 64, match="holds more than tensors|damaged")


# ------------------------------------------------------------------------------- export


def literal_text_features(path, rows):
    """CLIP's text tower on padded token rows [C, T], from the exported file alone."""
    with safe_open(path, "pt") as file:
        t = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        meta = file.metadata()
    heads, eps = int(meta["heads"]), float(meta["layer_norm_eps"])
    features = []
    for tokens in rows:
        x = t["token_embedding"][tokens] + t["positional_embedding"]
        length, width = x.shape
        mask = torch.full((length, length), -torch.inf).triu(1)
        for i in range(int(meta["layers"])):
            p = {
                key.removeprefix(f"blocks.{i}."): value
                for key, value in t.items()
                if key.startswith(f"blocks.{i}.")
            }
            h = F.layer_norm(x, (width,), p["ln_1.weight"], p["ln_1.bias"], eps)
            q, k, v = (h @ p["attn.in_proj_weight"].T + p["attn.in_proj_bias"]).chunk(
                3, -1
            )
            mixed = []
            for part in torch.arange(width).chunk(heads):
                scores = q[:, part] @ k[:, part].T / math.sqrt(len(part)) + mask
                mixed.append(scores.softmax(-1) @ v[:, part])
            h = torch.cat(mixed, -1)
            x = x + h @ p["attn.out_proj.weight"].T + p["attn.out_proj.bias"]
            h = F.layer_norm(x, (width,), p["ln_2.weight"], p["ln_2.bias"], eps)
            h = h @ p["mlp.c_fc.weight"].T + p["mlp.c_fc.bias"]
            if meta["activation"] == "quick_gelu":
                h = h / (1 + (-1.702 * h).exp())
            else:
                h = h * (1 + torch.erf(h / 2**0.5)) / 2
            x = x + h @ p["mlp.c_proj.weight"].T + p["mlp.c_proj.bias"]
        x = F.layer_norm(x, (width,), t["ln_final.weight"], t["ln_final.bias"], eps)
        end = tokens.tolist().index(int(meta["eot"]))
        features.append(x[end] @ t["text_projection"])
    return torch.stack(features)


def bare_prompts(exported):
    """Prompts that are the class names and nothing else."""
    options = {"n_ctx": 0, "class_specific": False, "period": False, "std": 0.0}
    return Prompts(exported, context_length=16, **options)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"quick_gelu": False},
        {"custom_text": True},
        {"text_cfg": tiny_clip.TEXT | {"pool_type": "eos", "eos_id": 49407}},
    ],
)
def test_the_exported_text_tower_is_the_models(tmp_path, changes):
    config, checkpoint, model = tiny_clip.write(tmp_path, tiny_clip.RESNET | changes)
    clip = load_clip(config, checkpoint, 128)
    path = tmp_path / "clip.safetensors"
    export_clip(clip, NAMES, {"tvmonitor": "tv monitor"}, path)
    tokenizer = open_clip.get_tokenizer("RN101-quickgelu", context_length=16)
    rows = tokenizer(["person", "traffic light", "tv monitor"])
    theirs = model.encode_text(rows)
    near(literal_text_features(path, rows), theirs)
    exported = ClipText(path)
    assert exported.classes == NAMES
    assert exported.class_tokens == [
        [token for token in row if token not in (0, 49406, 49407)]
        for row in rows.tolist()
    ]
    near(TextTower(exported)(*bare_prompts(exported)()), theirs)
    assert exported.logit_scale == pytest.approx(float(model.logit_scale.exp()))
    visual = make_tower(model.visual)
    for ours, own in zip(
        exported.visual_projection(), visual.projection(), strict=True
    ):
        near(ours, own)
    metadata = exported.metadata
    assert json.loads(metadata["names"]) == ["person", "traffic light", "tv monitor"]
    assert [metadata[k] for k in ("sot", "eot")] == ["49406", "49407"]
    assert [int(metadata["period"])] == tokenize("RN101-quickgelu", ".")
    assert metadata["weights_sha256"] == clip.weights_sha256
    assert metadata["map_channels"] == "256" and metadata["embed_dim"] == "24"


def test_rn101_exports_its_text_tower(rn101, tmp_path):
    clip, model = rn101
    path = tmp_path / "clip.safetensors"
    export_clip(clip, NAMES, {}, path)
    rows = open_clip.get_tokenizer("RN101-quickgelu")(list(NAMES))
    assert rows.shape == (3, 77)
    near(literal_text_features(path, rows), model.encode_text(rows))
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
        assert file.get_slice("visual_projection").get_shape() == [2048, 512]
    assert metadata["activation"] == "quick_gelu"
    assert metadata["heads"] == "8" and metadata["layers"] == "12"
    path.unlink()


def test_a_contexts_tokens_are_open_clips(tmp_path):
    path = tmp_path / "context.json"
    arguments = ["--model", "RN101-quickgelu", "--text", "a_photo_of_a"]
    assert __main__.main(["context", *arguments, "--output", str(path)]) == 0
    row = open_clip.get_tokenizer("RN101-quickgelu")(["a photo of a"])[0].tolist()
    assert json.loads(path.read_text()) == {
        "encoder": "RN101-quickgelu",
        "text": "a_photo_of_a",
        "tokens": row[1 : row.index(49407)],
    }


def test_the_tokenizer_is_open_clips():
    theirs = open_clip.get_tokenizer("RN101-quickgelu")
    for text in ("a photo of a", "TV-monitor, it's 3 o'clock", "naïve café"):
        row = theirs(text)[0].tolist()
        ours = tokenize("RN101-quickgelu", text)
        assert [49406, *ours, 49407] == row[: len(ours) + 2]
        assert not any(row[len(ours) + 2 :])


def test_equal_exports_have_equal_bytes(tiny, tmp_path):
    # The library orders the metadata at random, anew in each file.
    clip = load_clip(*tiny[:2], 128)
    contents = set()
    for number in range(4):
        path = tmp_path / f"{number}.safetensors"
        export_clip(clip, NAMES, {}, path)
        contents.add(path.read_bytes())
    assert len(contents) == 1


def test_names_that_do_not_fit_are_refused(tiny, tmp_path):
    clip = load_clip(*tiny[:2], 128)
    path = tmp_path / "clip.safetensors"

    def refused(names, match):
        fails(export_clip, clip, NAMES, names, path, match=match)
        assert not path.exists()

    refused({"cat": "cat"}, "cat is no class .* person, traffic light, tvmonitor")
    refused({"person": " "}, "class 'person' has no word")
    refused({"person": "very " * 15}, "15 tokens long and the text tower reads 14")
    export_clip(clip, NAMES, {"person": "very " * 14}, path)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"no_causal_mask": True}, "no causal mask"),
        ({"pool_type": "last"}, "pools by 'last'"),
        ({"proj_bias": True}, "no projection without bias"),
        ({"ls_init_value": 0.1}, "blocks with other parameters"),
        ({"pool_type": "eos"}, "reads its text feature at token 2,"),
        ({"act_kwargs": {"approximate": "tanh"}}, "another activation"),
        ({"vocab_size": 100}, "has 100 token embeddings"),
        ({"embed_cls": True}, "has a class token|pools"),
    ],
)
def test_other_text_towers_are_refused(tmp_path, changes, match):
    config, checkpoint, _ = tiny_clip.write(
        tmp_path,
        tiny_clip.RESNET
        | {
            "quick_gelu": False,
            "text_cfg": tiny_clip.TEXT | changes,
            "custom_text": "embed_cls" in changes,
        },
    )
    clip = load_clip(config, checkpoint, 128)
    fails(export_clip, clip, NAMES, {}, tmp_path / "clip.safetensors", match=match)


def test_the_command_exports_and_reports_mistakes_in_one_line(tiny, tmp_path, capsys):
    index = Index("d", "train", NAMES, ("a.jpg",), torch.ones(1, 3).char().numpy())
    index.save(tmp_path / "index.h5")
    output = tmp_path / "clip.safetensors"
    config, checkpoint, _ = tiny
    arguments = ["encoder", "--model", config, "--pretrained", checkpoint]
    arguments += ["--image-size", "128", "--index", str(tmp_path / "index.h5")]
    arguments += ["--output", str(output)]
    assert __main__.main([*arguments, "--names", "tvmonitor=tv monitor"]) == 0
    assert ClipText(output).class_tokens[2] == tokenize(config, "tv monitor")
    before = output.read_bytes()
    for extra in (["--names", "tv monitor"], ["--pretrained", "gone.pt"]):
        capsys.readouterr()
        assert __main__.main([*arguments, *extra]) == 1
        error = capsys.readouterr().err
        assert error.startswith("mlrpl encoder: error: ") and error.count("\n") == 1
        assert output.read_bytes() == before
