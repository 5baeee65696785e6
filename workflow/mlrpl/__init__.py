"""Multi-label image recognition with partial labels on a frozen CLIP."""
