"""Image-caption pairs: read, prepared, drawn, batched."""
