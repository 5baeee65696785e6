"""The embedded demo: a drawn multi-label world, its captions and its small CLIP."""
