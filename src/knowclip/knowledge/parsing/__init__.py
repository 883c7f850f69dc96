"""Captions to scene graphs."""
