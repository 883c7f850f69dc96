"""The section ``method`` of a recipe: one file a method, found by its name."""
