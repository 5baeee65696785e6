"""From cached features to a trained run."""
