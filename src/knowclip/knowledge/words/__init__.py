"""What words mean, and what excludes what."""
