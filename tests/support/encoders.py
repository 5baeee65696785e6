"""What the tests of towers, loading and export share."""

import torch


def near(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
