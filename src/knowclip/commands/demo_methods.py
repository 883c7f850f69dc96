"""What the demo compares: known before torch is imported."""

PLAIN = "clip"
METHODS = (PLAIN, "negclip")
"""Plain training first: the baseline, and the teacher of what the other might forget."""
