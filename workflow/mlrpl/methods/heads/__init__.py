"""Heads: from an image's cached features to scores of the classes."""
