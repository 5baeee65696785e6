"""Loading: every file format, the hash of the weights, and what is refused."""

import json
import pickle
import warnings
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from mlrpl.encoder import clip as clip_module
from mlrpl.encoder.clip import load_clip, tensors_sha256
from mlrpl.text.export import text_tensors
from support import tiny_clip
from support.data_files import fails

pytestmark = pytest.mark.usefixtures("inference")


@pytest.fixture
def tiny(tmp_path):
    return tiny_clip.write(tmp_path, tiny_clip.RESNET)


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
    fails(
        load_clip,
        "RN110",
        "openai",
        448,
        match="no model of this name; did you mean RN",
    )
    fails(load_clip, "nonsense", "openai", 448, match="no model of this name")
    fails(
        load_clip,
        "RN101-quickgelu",
        "opneai",
        448,
        match="no such tag; give openai or yfcc15m, or the path",
    )
    fails(load_clip, "RN101", "gone.pt", 448, match="gone.pt: there is no checkpoint")
    fails(load_clip, config, "openai", 448, match="openai: there is no checkpoint")
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

    refused("{", "is not JSON")
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
        fails(load_clip, config, str(file), 64, match="is not a state dict")


class Mischief:
    def __reduce__(self):
        return (pytest.fail, ("the checkpoint's code was run",))


def test_code_in_a_checkpoint_is_not_run(tiny, tmp_path):
    file = tmp_path / "code.pt"
    torch.save({"a": Mischief()}, file, pickle_protocol=2)
    fails(load_clip, tiny[0], str(file), 64, match="holds more than tensors")
    file.write_bytes(pickle.dumps(Mischief(), 2))
    fails(load_clip, tiny[0], str(file), 64, match="holds more than tensors|damaged")
