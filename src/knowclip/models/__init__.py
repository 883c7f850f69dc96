"""Batch to Features: open_clip towers and what feeds them."""
