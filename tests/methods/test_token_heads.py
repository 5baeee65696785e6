"""DualCoOp, DualCoOp++, TaI-DPT and PositiveCoOp equal public code."""

import pytest
import torch

from mlrpl.encoder.tokens import resized_positions
from mlrpl.methods.heads.dualcoop import DualCoOpHead
from mlrpl.methods.heads.dualcoop_pp import DualCoOpPlusHead
from mlrpl.methods.heads.positive_coop import PositiveCoOpHead, VisionOnlyHead
from mlrpl.methods.heads.tai_dpt import TaIDPTHead
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.losses.p_asl import PartialAsymmetricLoss
from mlrpl.methods.scores import sigmoid
from mlrpl.methods.token_head import with_mean
from mlrpl.text.clip_text import ClipText
from support import tiny
from support.public_weights import as_map, read

PROMPTS = {"prompts": "shared", "n_ctx": 2, "context_std": 0.02, "period": True}
LOSS = PartialAsymmetricLoss()  # gamma+ 1, gamma- 2, margin 0.05


def close(found, expected, rtol=1e-5):
    torch.testing.assert_close(found, expected, rtol=rtol, atol=1e-5)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return ClipText(tiny.write_clip(tmp_path_factory.mktemp("clip") / "clip.h5"))


def made(kind, clip, positions, **options):
    inputs = Inputs(
        tiny.CHANNELS,
        tiny.DIM,
        torch.zeros(len(tiny.CLASSES), 2),
        clip=clip,
        token_positions=positions,
    )
    return kind(inputs, **options)


def projected(data):
    """The tokens of a public map: c_proj(v_proj(x)), no position embeddings."""
    x = as_map(data["feature_map"])
    for name in ("v_proj", "c_proj"):
        weight, bias = (data[f"attnpool.{name}.{part}"] for part in ("weight", "bias"))
        x = x @ weight.T + bias
    return x


def two_way(logits):
    """The difference of public logits [B, 2, C], the absence's first."""
    return logits[:, 1] - logits[:, 0]


def known(data):
    """Labels in this project's coding."""
    y = data["y_1pos_0neg_m1unknown"]
    return torch.where(y < 0, 0, 2 * y - 1).to(torch.int8)


@pytest.fixture
def whole(monkeypatch):
    """The tokens of the oracles have their mean and the positions in them."""
    for module in ("dualcoop", "positive_coop"):
        name = f"mlrpl.methods.heads.{module}.with_mean"
        monkeypatch.setattr(name, lambda tokens, _: tokens)


def test_dualcoop_is_the_public_codes(oracles, clip, whole):
    data = read(oracles, "dualcoop_aggregation_and_loss")
    head = made(DualCoOpHead, clip, torch.zeros(1, 1), **PROMPTS)
    tokens = data["local_tokens"].transpose(1, 2).clone().requires_grad_()
    texts = data["text_neg_then_pos"].unflatten(0, (2, -1)).clone().requires_grad_()
    logits = head.logits(head.class_features(tokens), texts)
    close(logits, two_way(data["logits_b_2_c"]))
    close(torch.sigmoid(logits), data["prob_positive"])
    loss = len(logits) * LOSS(sigmoid(logits), known(data))
    close(loss, data["loss_sum"])
    loss.backward()
    close(tokens.grad, data["g.local_tokens"].transpose(1, 2))
    close(texts.grad.flatten(0, 1), data["g.text"])


def test_positive_coop_is_the_public_codes(oracles, clip, whole):
    data = read(oracles, "positivecoop_aggregation_and_loss")
    head = made(PositiveCoOpHead, clip, torch.zeros(1, 1), **PROMPTS, lr_prompts=0.01)
    names = {"absent": "txt_prompt_neg", "added": "txt_prompt_learn"}
    for ours, theirs in names.items():
        setattr(head, ours, torch.nn.Parameter(data[theirs].clone()))
    tokens = data["local_tokens"].transpose(1, 2).clone().requires_grad_()
    text = data["text_positive"].clone().requires_grad_()
    logits = head.logits(tokens, text[None])
    # Differences of logits of about 100.
    close(logits, two_way(data["logits_b_2_c"]), rtol=1e-4)
    loss = len(logits) * LOSS(sigmoid(logits), known(data))
    close(loss, data["loss_sum"], rtol=1e-4)
    loss.backward()
    close(tokens.grad, data["g.local_tokens"].transpose(1, 2), rtol=1e-4)
    close(text.grad, data["g.text_positive"], rtol=1e-4)
    for ours, theirs in names.items():
        close(getattr(head, ours).grad, data[f"g.{theirs}"], rtol=1e-4)
    assert [group.factor for group in head.groups()] == [0.01, 1.0]


def test_its_baseline_without_text_is_the_public_codes(oracles, whole):
    data = read(oracles, "positivecoop_vision_only_baseline")
    head = made(VisionOnlyHead, None, torch.zeros(1, 1))
    head.classifier = torch.nn.Linear(8, 10)
    with torch.no_grad():
        head.classifier.weight.copy_(data["w.weight"])
        head.classifier.bias.copy_(data["w.bias"])
    tokens = data["local_tokens"].transpose(1, 2).clone().requires_grad_()
    logits = head.logits(tokens, None)
    close(logits, two_way(data["logits_b_2_c"]))
    loss = len(logits) * LOSS(sigmoid(logits), known(data))
    close(loss, data["loss_sum"])
    loss.backward()
    close(tokens.grad, data["g.local_tokens"].transpose(1, 2))
    close(head.classifier.weight.grad, data["g.weight"])
    close(head.classifier.bias.grad, data["g.bias"])


def test_tai_dpt_is_the_public_codes(oracles, clip):
    data = read(oracles, "taidpt_partial_aggregation_and_loss")
    head = made(TaIDPTHead, clip, None, **PROMPTS)
    assert head.log_scale.item() == pytest.approx(float(data["temperature"]))
    assert head.log_sharpness.item() == pytest.approx(float(data["spatial_T"]))
    texts = torch.stack([data["text_pos"], data["text_neg"]]).requires_grad_()
    logits = head.logits(projected(data), texts)
    close(logits, data["logits_local"])
    loss = LOSS(sigmoid(logits), data["y_1pos_m1neg_0unknown"].to(torch.int8))
    close(loss, data["loss"])
    loss.backward()
    close(texts.grad, torch.stack([data["g.text_pos"], data["g.text_neg"]]))
    close(head.log_scale.grad, data["g.temperature"])
    close(head.log_sharpness.grad, data["g.spatial_T"])


@pytest.mark.parametrize(
    ("name", "winner"),
    [
        ("dualcooppp_pos200", "raised"),
        ("dualcooppp_pos_norm", "normalized"),
        ("dualcooppp_pos_norm_det", "normalized"),
        ("dualcooppp_pos_test", "share"),
        ("dualcooppp_pos_neg", "raised_both"),
        ("dualcooppp_pos_neg_test", "share_both"),
    ],
)
def test_dualcoop_pp_is_the_third_partys_code(oracles, clip, name, winner):
    data = read(oracles, name)
    head = made(DualCoOpPlusHead, clip, None, **PROMPTS, winner=winner)
    assert head.log_sharpness.item() == pytest.approx(float(data["spatial_T"]))
    kinds = "evidence", "pos", "neg"
    texts = torch.stack([data[f"text_{kind}"] for kind in kinds]).requires_grad_()
    logits = head.logits(projected(data), texts)
    close(logits, two_way(data["logits_local_b_2_c"]))
    labels = data["y_1pos_m1neg_0unknown"].to(torch.int8)
    loss = 0.02 * len(logits) * LOSS(sigmoid(logits), labels)
    close(loss, data["loss_times_0_02"])
    loss.backward()
    close(texts.grad, torch.stack([data[f"g.text_{kind}"] for kind in kinds]))
    if "g.spatial_T" in data:  # fixed in "pos_norm_det"
        close(head.log_sharpness.grad, data["g.spatial_T"])


@pytest.mark.parametrize("size", ["4x4", "6x6"])
def test_tokens_and_what_positions_add_are_the_public_codes(oracles, size):
    """Of the map's own grid, and of one that the embeddings are interpolated to."""
    data = read(oracles, "dualcoop_token_projection")
    x = as_map(data[f"x_{size}"])
    weight = data["w.v_proj.weight"].T @ data["w.c_proj.weight"].T
    bias = data["w.v_proj.bias"] @ data["w.c_proj.weight"].T + data["w.c_proj.bias"]
    side = int(size[0])
    positions = resized_positions(data["w.positional_embedding"], (side, side))
    found = with_mean(x @ weight + bias, positions @ weight)
    close(found, data[f"tokens_{size}"].transpose(1, 2))


def test_position_embeddings_of_another_grid_are_the_public_codes(oracles):
    data = read(oracles, "dualcoop_token_projection")
    close(resized_positions(data["pos_emb_7x7"], (14, 14)), data["pos_emb_14x14"])
    close(resized_positions(data["pos_emb_7x7"], (7, 7)), data["pos_emb_7x7"])
