"""From scores to metrics."""
