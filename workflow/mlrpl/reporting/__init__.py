"""From metrics to tables and figures beside the printed numbers."""
