"""Transfers: what passes knowledge from known labels to unknown ones."""
