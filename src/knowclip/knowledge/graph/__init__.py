"""KnowledgeGraph on disk: built, edited, split, described, read."""
