"""The frozen image-text model: loading, image features, and what training needs."""
