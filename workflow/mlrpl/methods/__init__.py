"""Methods: a head, a transfer and a loss, each one file (`methods.base`)."""
