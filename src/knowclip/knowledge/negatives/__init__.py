"""Scene graphs to hard-negative captions."""
