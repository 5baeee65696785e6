"""Word vectors of the class names."""
