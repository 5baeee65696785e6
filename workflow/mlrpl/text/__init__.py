"""CLIP's text side: tower, class tokens, prompts."""
