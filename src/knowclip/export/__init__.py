"""Weights to drop-in checkpoints."""
