"""Model to scores to numbers."""
