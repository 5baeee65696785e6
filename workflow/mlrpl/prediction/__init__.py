"""A trained setting outside of its training: scores and attention of any picture."""
