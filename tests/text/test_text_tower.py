"""The text tower on packed prompts against a literal tower on 77 tokens."""

import numpy as np
import pytest
import torch
from torch import nn

from mlrpl.errors import UserError
from mlrpl.text.class_features import class_features
from mlrpl.text.clip_text import ClipText
from mlrpl.text.packing import Packing
from mlrpl.text.prompts import Prompts
from mlrpl.text.tower import TextTower
from support import tiny

N_CTX = 4


def literal_features(context, activation):
    """Eq. 7-8 on 77 tokens, with torch's own attention and a mask of minus infinity."""
    t = tiny.clip_tensors()
    mask = torch.full((77, 77), float("-inf")).triu(1)
    features = []
    for row, name in enumerate(tiny.CLASS_TOKENS):
        name = [token for token in name if token >= 0]
        vectors = context if context.dim() == 2 else context[row]
        tail = [*name, tiny.PERIOD, tiny.EOT]
        padding = [0] * (77 - 1 - len(vectors) - len(tail))
        table = t["token_embedding"]
        x = torch.cat([table[[tiny.SOT]], vectors, table[tail], table[padding]])
        x = x + t["positional_embedding"]
        for i in range(tiny.LAYERS):
            p = {
                key.removeprefix(f"blocks.{i}."): value
                for key, value in t.items()
                if key.startswith(f"blocks.{i}.")
            }
            attention = nn.MultiheadAttention(tiny.WIDTH, tiny.HEADS)
            attention.load_state_dict(
                {k.removeprefix("attn."): v for k, v in p.items() if "attn." in k}
            )
            h = norm(x, p["ln_1.weight"], p["ln_1.bias"])
            x = x + attention(h, h, h, attn_mask=mask, need_weights=False)[0]
            h = norm(x, p["ln_2.weight"], p["ln_2.bias"])
            h = h @ p["mlp.c_fc.weight"].T + p["mlp.c_fc.bias"]
            if activation == "quick_gelu":
                h = h * torch.sigmoid(1.702 * h)
            else:
                h = h * (1 + torch.erf(h / 2**0.5)) / 2
            x = x + h @ p["mlp.c_proj.weight"].T + p["mlp.c_proj.bias"]
        x = norm(x, t["ln_final.weight"], t["ln_final.bias"])
        features.append(x[len(vectors) + len(tail)] @ t["text_projection"])
    return torch.stack(features)


def norm(x, weight, bias):
    mean = x.mean(-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(-1, keepdim=True)
    return (x - mean) / (variance + 1e-5).sqrt() * weight + bias


def make(tmp_path, class_specific, activation="quick_gelu", **options):
    clip = ClipText(tiny.write_clip(tmp_path / "clip.safetensors", activation))
    tower = TextTower(clip)
    torch.manual_seed(3)
    arguments = {"n_ctx": N_CTX, "period": True, "std": 0.5} | options
    prompts = Prompts(
        clip,
        class_specific=class_specific,
        context_length=tower.context_length,
        **arguments,
    )
    return clip, tower, prompts


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
@pytest.mark.parametrize("class_specific", [False, True])
def test_values_and_gradients_equal_77_tokens(tmp_path, class_specific, activation):
    _, tower, prompts = make(tmp_path, class_specific, activation)
    tokens, packing = prompts()
    # Start of text; the context; then names of 1, 2 and 1 tokens, full stop and end.
    own = N_CTX * (3 if class_specific else 1)
    assert tokens.shape == (1 + own + 3 + 4 + 3, tiny.WIDTH)
    ours = tower(tokens, packing)
    context = prompts.context.detach().clone().requires_grad_()
    theirs = literal_features(context, activation)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    weights = torch.randn(ours.shape)
    (ours * weights).sum().backward()
    (theirs * weights).sum().backward()
    torch.testing.assert_close(prompts.context.grad, context.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
@pytest.mark.parametrize("class_specific", [False, True])
def test_the_tower_passes_a_numerical_gradient_check(
    tmp_path, class_specific, activation
):
    _, tower, prompts = make(tmp_path, class_specific, activation, n_ctx=2)
    tokens, packing = prompts()
    tower.double()
    tokens = tokens.detach().double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: tower(x, packing), [tokens])


@pytest.mark.parametrize("class_specific", [False, True])
def test_without_gradients_the_features_are_the_same_bits(tmp_path, class_specific):
    _, tower, prompts = make(tmp_path, class_specific)
    with torch.no_grad():
        scored = tower(*prompts())
    assert torch.equal(scored, tower(*prompts()))


def test_a_prompt_has_the_features_that_it_has_alone(tmp_path):
    _, tower, prompts = make(tmp_path, class_specific=True)
    tokens, packing = prompts()
    together = tower(tokens, packing)
    for row, name in enumerate(tiny.CLASS_TOKENS):
        length = 1 + N_CTX + sum(token >= 0 for token in name) + 2
        alone = Packing(N_CTX, True, [length - 1 - N_CTX])
        assert packing.ends[row] == packing.rows[row, length - 1]
        features = tower(tokens[packing.rows[row, :length]], alone)
        torch.testing.assert_close(features[0], together[row], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("class_specific", [False, True])
def test_a_block_keeps_nine_widths_a_row(tmp_path, class_specific):
    """What is kept grows with the rows, not with the classes times the longest."""
    _, tower, prompts = make(tmp_path, class_specific)
    tokens, packing = prompts()
    saved = {}
    with torch.autograd.graph.saved_tensors_hooks(
        lambda x: saved.setdefault(x.untyped_storage().data_ptr(), x), lambda x: x
    ):
        tower.blocks[0](tokens, packing)
    kept = sum(x.untyped_storage().nbytes() // 4 for x in saved.values())
    classes, length = packing.rows.shape
    attention = tiny.HEADS * classes * length**2
    assert kept == 9 * tokens.numel() + attention + 4 * len(tokens)


def test_only_the_context_is_trained(tmp_path):
    _, tower, prompts = make(tmp_path, class_specific=True)
    assert not list(tower.parameters())
    assert [tuple(p.shape) for p in prompts.parameters()] == [(3, N_CTX, tiny.WIDTH)]


def test_a_context_may_start_from_a_text(tmp_path):
    clip, _, _ = make(tmp_path, class_specific=True)
    start = clip.embed([8, 9])
    table = tiny.clip_tensors()["token_embedding"]
    torch.testing.assert_close(start, table[[8, 9]])
    _, _, prompts = make(tmp_path, class_specific=True, context=start)
    torch.testing.assert_close(prompts.context.detach(), start.expand(3, 2, -1))


def test_without_context_and_period_the_class_name_stands_alone(tmp_path):
    _, _, prompts = make(tmp_path, class_specific=False, n_ctx=0, period=False)
    tokens, packing = prompts()
    table = tiny.clip_tensors()["token_embedding"]
    assert packing.positions[packing.ends].tolist() == [2, 3, 2]
    embedded = tokens[packing.rows]
    torch.testing.assert_close(embedded[1], table[[tiny.SOT, 4, 5, tiny.EOT]])
    torch.testing.assert_close(embedded[2, :3], table[[tiny.SOT, 6, tiny.EOT]])


def test_a_prompt_that_is_too_long_names_the_class(tmp_path):
    with pytest.raises(UserError, match=r"'traffic light'.*77.*lower n_ctx"):
        make(tmp_path, class_specific=True, n_ctx=73)


def test_a_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "clip.safetensors"
    path.write_bytes(b"no tensors here")
    with pytest.raises(UserError, match="not a readable safetensors file"):
        ClipText(path)


def test_class_features_are_those_of_the_names_with_a_full_stop(tmp_path):
    path = tmp_path / "clip.safetensors"
    tiny.write_clip(path)
    context = torch.empty(0, tiny.WIDTH)
    features = literal_features(context, "quick_gelu").detach().numpy()
    found = class_features(path)
    assert found.dtype == np.float32 and found.shape == features.shape
    np.testing.assert_allclose((found**2).mean(axis=1), 1, rtol=1e-5)
    lengths = np.linalg.norm(features, axis=1) / np.linalg.norm(found, axis=1)
    np.testing.assert_allclose(found * lengths[:, None], features, rtol=1e-4, atol=1e-6)
