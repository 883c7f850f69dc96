"""What the demo compares: known before torch is imported."""

METHODS = ("clip", "negclip")
"""Plain training first: the baseline."""
