"""The attention of each kind of method: whose it is, and that it sums to 1."""

import pytest
import torch

from mlrpl.errors import UserError
from mlrpl.methods.attention import attention, check_attention
from support import tiny, trainings

pytestmark = pytest.mark.usefixtures("inference")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return tiny.write_files(tmp_path_factory.mktemp("tiny"), images=8)


def built(files, **options):
    method = trainings.make(files, **options)[0].eval()
    maps = torch.randn(4, tiny.GRID**2, tiny.CHANNELS)
    return method, maps, attention(method, maps)


def close(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"pooled": "raw"},
        {"prompts": "shared"},
        {"visual": "semantic_attention"},
        {"head": "ggnn"},
        {"head": "ggnn", "reduce_dim": 0},
        {"head": "kggr"},
    ],
    ids=str,
)
def test_a_classs_attention_sums_to_one(files, options):
    found = built(files, **options)[-1]
    assert found.shape == (4, len(tiny.CLASSES), tiny.GRID**2)
    assert (found >= 0).all()
    close(found.sum(-1), torch.ones(4, len(tiny.CLASSES)))


@pytest.mark.parametrize("head", ["cosine", "ggnn"])
def test_it_is_what_the_head_pools_with(files, head):
    """Class features from it equal those of the head: Eq. 6 of the raw map."""
    options = {"pooled": "raw"} if head == "cosine" else {"head": head}
    method, maps, found = built(files, **options)
    if head == "cosine":
        pooled = method.head.visual.to_text(found @ maps)
    else:
        pooled = found @ method.head.reduction(maps)
    close(pooled, method.head.class_features(maps))


def test_semantic_attention_is_its_mask_over_its_sum(files):
    method, maps, found = built(files, visual="semantic_attention")
    visual = method.head.visual
    mask = torch.sigmoid(torch.einsum("blk,ck->bcl", maps, visual.activation.weight))
    pooled = visual.to_text(mask @ visual.transform(maps))
    close(pooled, method.head.class_features(maps))
    close(found, mask / mask.sum(-1, keepdim=True))


@pytest.mark.parametrize(
    "options", [{"visual": "global"}, {"head": "linear"}, {"head": "gcn"}], ids=str
)
def test_a_method_without_attention_is_one_line(files, options):
    method = trainings.make(files, **options)[0]
    with pytest.raises(UserError, match=r"^my run: has no attention .*; take a method"):
        check_attention(method, "my run")
