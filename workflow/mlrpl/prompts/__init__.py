"""Learnable prompts of the text tower."""

from mlrpl.prompts.context import Prompts

__all__ = ["Prompts"]
