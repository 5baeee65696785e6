"""SPLC, Hill, CSL, PU-MLC, GPR and ASL equal public code; their known negatives."""

import pytest
import torch

from mlrpl.errors import UserError
from mlrpl.methods.losses.csl import ClassAwareSelectiveLoss
from mlrpl.methods.losses.gpr import GeneralizedRobustLoss
from mlrpl.methods.losses.p_asl import PartialAsymmetricLoss
from mlrpl.methods.losses.pu_mlc import PositiveUnlabeled
from mlrpl.methods.losses.splc import Hill, SelfPacedLossCorrection
from support.public_losses import NoImages, check, inputs_of, take
from support.public_weights import read

SPLC = {"splc_threshold": 0.6, "splc_gamma": 2, "splc_epoch": 1}
HILL = {"hill_lambda": 1.5, "hill_gamma": 2}
CSL = {
    "csl_mode": "selective",
    "csl_gamma_pos": 0,
    "csl_gamma_neg": 1,
    "csl_gamma_unknown": 2,
    "csl_margin": 0,
    "csl_likeliest": 2,
    "csl_prior": "none",
    "csl_prior_threshold": 0.05,
}
PU = {"pu_spread": 1, "pu_gamma": 0.55, "pu_negatives": "discarded"}


def csl(labels, **changed):
    return ClassAwareSelectiveLoss(inputs_of(labels), **{**CSL, **changed})


@pytest.mark.parametrize("epoch", [0, 1])
def test_splc_is_the_public_codes(oracles, epoch):
    data = read(oracles, "splc_hill_asl")
    loss = SelfPacedLossCorrection(**SPLC)
    loss.start_epoch(epoch + 1, NoImages())
    check(loss, data, data["y01"], f"splc.epoch{epoch}", factor=len(data["y01"]))


@pytest.mark.parametrize("epoch", [0, 1])
def test_splc_is_that_of_scpnets_code(oracles, epoch):
    """Whose other term, on two more views of an image, has no part in this gradient."""
    data = read(oracles, "scpnet_losses")
    loss = SelfPacedLossCorrection(**SPLC)
    loss.start_epoch(epoch + 1, NoImages())
    labels, images = data["y01"].to(torch.int8), len(data["y01"])
    value, gradient = take(loss, data["logits_labelled"], labels)
    case = f"epoch{epoch}"
    close = {"rtol": 1e-5, "atol": 1e-5}
    torch.testing.assert_close(images * value, data[f"{case}.splc"], **close)
    torch.testing.assert_close(
        images * gradient, data[f"{case}.g.logits_labelled"], **close
    )


def test_hill_is_the_public_codes(oracles):
    data = read(oracles, "splc_hill_asl")
    check(Hill(**HILL), data, data["y01"], "hill", factor=len(data["y01"]))


@pytest.mark.parametrize("detach", [True, False])
def test_asl_is_the_public_codes(oracles, detach):
    """Every label known, the paper's loss is the asymmetric loss that it comes from."""
    data = read(oracles, "splc_hill_asl")
    loss = PartialAsymmetricLoss(gamma_pos=1, gamma_neg=4, detach=detach)
    case = f"asl_4_1_{'detached' if detach else 'differentiable'}"
    labels = 2 * data["y01"] - 1
    check(loss, data, labels, case, factor=len(labels))


@pytest.mark.parametrize(
    "case",
    ["negative", "ignore", "ignore_normalize_classes", "selective", "selective_prior"],
)
def test_csl_is_the_public_codes(oracles, case):
    data = read(oracles, "csl_losses")
    coded = data["y_1pos_0neg_m1unannotated"]
    labels = torch.where(coded < 0, 0, 2 * coded - 1).to(torch.int8)
    mode = {"ignore_normalize_classes": "ignore_normalized"}.get(case)
    changed = {"csl_mode": mode or case.partition("_")[0]}
    if case == "ignore":
        margin, neg, unknown = data["ignore_uses_clip_gammaneg_gammaunann"].tolist()
        changed |= {"csl_margin": margin, "csl_gamma_neg": neg}
        changed |= {"csl_gamma_unknown": unknown}
    loss = csl(labels, **changed)
    if case == "selective_prior":
        loss.frequent.copy_(data["prior"] > 0.05)
    check(loss, data, labels, case, factor=len(labels))


@pytest.mark.parametrize("setting", ["coco", "voc"])
def test_positive_unlabelled_learning_is_the_public_codes(oracles, setting):
    data = read(oracles, "pu_mlc_loss")
    gamma, alpha = data[f"{setting}.gamma_alpha"].tolist()
    loss = PositiveUnlabeled(**{**PU, "pu_spread": alpha, "pu_gamma": gamma})
    check(loss, data, data["y_1pos_m1neg_0unknown"], setting)


@pytest.mark.parametrize("case", ["epoch1", "late"])
def test_gpr_is_the_public_codes_where_there_is_no_pseudo_label(oracles, case):
    data = read(oracles, "gpr_loss")
    labels, pseudo = data["y_pos"], data["pseudo"]
    weight, expected = data["lam_rho_reg_expectedpos"][-2:].tolist()
    loss = GeneralizedRobustLoss(
        inputs_of(labels), 8, expected_positives=expected, expected_weight=weight
    )
    loss.shapes.copy_(data[f"{case}.w_b_mu_sigma"])
    _, gradient = take(loss, data["logits"], labels.to(torch.int8))
    plain = (labels == 1) | (pseudo == 0)
    torch.testing.assert_close(
        gradient[plain], data[f"{case}.g.logits"][plain], rtol=1e-5, atol=1e-5
    )


def test_gprs_shapes_go_from_their_start_to_their_end():
    labels = torch.tensor([[1, -1], [0, 1]])
    loss = GeneralizedRobustLoss(
        inputs_of(labels), 8, expected_positives=1.5, expected_weight=0.001
    )
    loss.start_epoch(1, NoImages())
    assert loss.shapes.tolist() == pytest.approx([0, -2, 0.5375, 1.8125])
    loss.start_epoch(8, NoImages())
    assert loss.shapes.tolist() == pytest.approx([8.75, -7.25, 0.8, 0.5])


LOSSES = {
    "splc": lambda labels: SelfPacedLossCorrection(**{**SPLC, "splc_epoch": 0}),
    "hill": lambda labels: Hill(**HILL),
    "csl": csl,
    "pu_mlc": lambda labels: PositiveUnlabeled(**{**PU, "pu_negatives": "trained"}),
    "gpr": lambda labels: GeneralizedRobustLoss(
        inputs_of(labels), 8, expected_positives=2, expected_weight=0
    ),
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_likely_known_negative_is_pushed_down(name):
    """What an unknown label of such a score is taken for, a known one is not."""
    logits = torch.tensor([[4.0, -1.0, 0.5], [-2.0, 3.0, 4.0], [1.0, 0.2, -3.0]])
    labels = torch.tensor([[-1, 1, 0], [1, 0, -1], [0, 0, 1]], dtype=torch.int8)
    _, gradient = take(LOSSES[name](labels), logits, labels)
    assert (gradient[labels == -1] > 0).all()
    assert (gradient[labels == 1] < 0).all()


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("value", [0, -1])
@pytest.mark.parametrize("scale", [0, 1, 100])
def test_a_batch_without_positives_has_a_finite_loss(name, value, scale):
    logits = scale * torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    labels = torch.full((4, 3), value, dtype=torch.int8)
    for rows in (4, 1):
        loss, gradient = take(LOSSES[name](labels), logits[:rows], labels[:rows])
        assert torch.isfinite(loss) and torch.isfinite(gradient).all()


def test_splc_corrects_unknown_labels_alone():
    logits = torch.full((1, 3), 2.0)
    loss = SelfPacedLossCorrection(**SPLC)
    labels = torch.tensor([[0, -1, 1]], dtype=torch.int8)
    for epoch, signs in ((1, [1, 1, -1]), (2, [-1, 1, -1])):
        loss.start_epoch(epoch, NoImages())
        _, gradient = take(loss, logits, labels)
        assert gradient.sign().tolist() == [signs]


def test_csl_leaves_out_likely_unknown_labels_and_those_of_frequent_classes():
    generator = torch.Generator().manual_seed(0)
    known = torch.where(torch.rand(200, 4, generator=generator) < 0.02, 1, -1)
    known[:100, 2] = 1  # half of its labels
    known[1::2] = 0
    loss = csl(known, csl_prior="known", csl_likeliest=1)
    assert loss.frequent.tolist() == [False, False, True, False]
    labels = torch.tensor([[0, -1, 0, 0], [0, 1, 0, 0]])
    p = torch.tensor([[0.9, 0.99, 0.5, 0.1], [0.2, 0.99, 0.1, 0.8]])
    kept = loss.kept(p, labels == 0)
    expected = [[False, False, False, True], [True, False, False, False]]
    assert kept.tolist() == expected


def test_csl_cannot_count_positives_alone():
    loss = csl(torch.tensor([[1, 0], [0, 1]]), csl_prior="known")
    with pytest.raises(UserError, match="csl_prior: known"):
        loss.start_epoch(1, NoImages())
    csl(torch.tensor([[1, 0], [0, 1]])).start_epoch(1, NoImages())
