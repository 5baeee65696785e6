"""Curriculum labelling, against its rule written label by label."""

import pytest
import torch

from mlrpl.methods.losses.p_bce import PartialBCE
from mlrpl.methods.scores import sigmoid
from mlrpl.methods.transfers.curriculum import CurriculumLabeling
from support import tiny
from support.public_losses import batch_of, inputs_of
from support.trainings import make, train_quietly


class Images:
    """Training images of given logits, in batches of four."""

    steps = 3

    def __init__(self, logits, labels):
        self.logits, self.batch, self.asked = logits, batch_of(labels), 0

    def scored(self, size):
        self.asked += 1
        for start in range(0, len(self.logits), 4):
            part = slice(start, start + 4)
            fields = {name: t[part] for name, t in self.batch.tensors().items()}
            yield type(self.batch)(**fields), sigmoid(self.logits[part])


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(10, 5, generator=generator)
    labels = torch.randint(-1, 2, (10, 5), generator=generator, dtype=torch.int8)
    return Images(logits, labels)


def made(images, epoch=2, threshold=0.9, every=3):
    return CurriculumLabeling(
        inputs_of(images.batch.labels),
        transfer_epoch=epoch,
        curriculum_threshold=threshold,
        curriculum_every=every,
    )


def test_what_the_model_is_sure_of_is_labelled_and_nothing_known(images):
    transfer = made(images)
    transfer.start_epoch(3, images)
    expected = torch.zeros(10, 5, dtype=torch.int8)
    for n in range(10):
        for c in range(5):
            p = float(torch.sigmoid(images.logits[n, c]))
            if images.batch.labels[n, c] == 0:
                expected[n, c] = 1 if p >= 0.9 else -1 if p <= 0.1 else 0
    assert torch.equal(transfer.predicted, expected)
    assert (expected == 1).any() and (expected == -1).any()
    # A prediction is made anew, so that the model may change its mind.
    images.logits = torch.zeros(10, 5)
    transfer.start_epoch(6, images)
    assert not transfer.predicted.any()


def test_when_labels_are_predicted(images):
    transfer = made(images, epoch=2, every=3)
    asked = []
    for epoch in range(1, 10):
        before = images.asked
        transfer.start_epoch(epoch, images)
        asked.append(images.asked - before)
    assert asked == [0, 0, 1, 0, 0, 1, 0, 0, 1]


def test_the_loss_is_that_of_known_and_predicted_labels(images):
    transfer = made(images, epoch=0)
    scores, loss = sigmoid(images.logits), PartialBCE()

    class Step:
        batch = images.batch

    Step.scores, Step.loss = scores, staticmethod(loss)
    labels = images.batch.labels
    torch.testing.assert_close(transfer(Step), loss(scores, labels))
    transfer.start_epoch(1, images)
    together = torch.where(labels == 0, transfer.predicted, labels)
    torch.testing.assert_close(transfer(Step), loss(scores, together))


def test_a_training_on_a_head_without_class_features(tmp_path):
    files = tiny.write_files(tmp_path)
    changed = {"head": "linear", "transfer": "curriculum", "curriculum_every": 1}
    changed["curriculum_threshold"] = 0.6
    method, training, test, options = make(files, **changed)
    train_quietly(method, options, training, test)
    predicted, known = method.transfer.predicted, training.labels
    assert predicted.any() and not predicted[known != 0].any()
