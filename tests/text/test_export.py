"""The exported text tower against open_clip and a literal forward pass."""

import json
import math

import open_clip
import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open

from mlrpl import __main__
from mlrpl.data.index import Index
from mlrpl.encoder.clip import load_clip, tokenize
from mlrpl.encoder.towers import make_tower
from mlrpl.text.clip_text import ClipText
from mlrpl.text.export import export_clip
from mlrpl.text.prompts import Prompts
from mlrpl.text.tower import TextTower
from support import tiny_clip
from support.data_files import fails
from support.encoders import near, random_rn101

pytestmark = pytest.mark.usefixtures("inference")

NAMES = ("person", "traffic light", "tvmonitor")


@pytest.fixture(scope="module")
def rn101(tmp_path_factory):
    return random_rn101(tmp_path_factory.mktemp("rn101"))


@pytest.fixture
def tiny(tmp_path):
    return tiny_clip.write(tmp_path, tiny_clip.RESNET)


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

    refused({"cat": "cat"}, "cat is not a class .* person, traffic light, tvmonitor")
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
