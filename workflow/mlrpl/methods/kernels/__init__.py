"""The attention's own computation, on a CPU and on a GPU."""
