"""Typed recipes and studies: one file a section; YAML plus ``key=value`` overrides."""
