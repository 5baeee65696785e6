"""Losses of scores and partial labels."""
