"""The linear probe against scikit-learn's logistic regression."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from mlrpl.methods.base import Batch
from mlrpl.methods.heads.linear import LinearHead
from mlrpl.methods.inputs import Inputs
from mlrpl.methods.losses.p_bce import PartialBCE
from mlrpl.methods.method import Method
from mlrpl.methods.transfers.none import NoTransfer

N, L, K, D, C = 80, 4, 6, 5, 3


def example(feature):
    """Images whose labels are noisy functions of the normalised feature."""
    random = np.random.default_rng(0)
    shape = (N, D) if feature == "global" else (N, L, K)
    features = random.standard_normal(shape)
    seen = features if feature == "global" else features.mean(axis=1)
    seen = seen / np.linalg.norm(seen, axis=1, keepdims=True) * seen.shape[1] ** 0.5
    logits = seen @ random.standard_normal((seen.shape[1], C))
    labels = np.where(random.random((N, C)) < 1 / (1 + np.exp(-logits)), 1, -1)
    known = np.where(random.random((N, C)) < 0.8, labels, 0)
    return torch.from_numpy(features), seen, torch.from_numpy(known)


@pytest.mark.parametrize("feature", ["global", "map_mean"])
def test_at_its_optimum_it_is_logistic_regression_on_the_known_labels(feature):
    features, seen, known = example(feature)
    inputs = Inputs(K, D, torch.zeros(C, 2), clip=None)
    head = LinearHead(inputs, feature=feature)
    method = Method(head, NoTransfer(inputs), PartialBCE(inputs)).double()
    assert method.reads == ("global" if feature == "global" else "map")
    batch = Batch(features, known, torch.arange(N))
    optimizer = torch.optim.LBFGS(
        method.parameters(), max_iter=500, tolerance_grad=1e-10, tolerance_change=0
    )

    def closure():
        optimizer.zero_grad()
        loss = method.loss(batch)
        loss.backward()
        return loss

    optimizer.step(closure)
    for c in range(C):
        rows = (known[:, c] != 0).numpy()
        fitted = LogisticRegression(C=1e8, tol=1e-10, max_iter=2000)
        fitted.fit(seen[rows], known[rows, c].numpy())
        weight, bias = (t[c].detach().numpy() for t in head.classifier.parameters())
        np.testing.assert_allclose(weight, fitted.coef_[0], rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(bias, fitted.intercept_[0], rtol=1e-3, atol=1e-4)
    expected = seen @ head.classifier.weight.detach().numpy().T
    expected = expected + head.classifier.bias.detach().numpy()
    ours = method.score_images(features).detach()
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-9)


def test_a_transfer_that_needs_class_features_is_refused():
    from mlrpl.errors import UserError
    from mlrpl.methods.base import Transfer

    inputs = Inputs(K, D, torch.zeros(C, 2), clip=None)
    head = LinearHead(inputs, feature="global")
    with pytest.raises(UserError, match="LinearHead has none"):
        Method(head, Transfer(), PartialBCE(inputs))
