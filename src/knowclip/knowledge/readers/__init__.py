"""Original knowledge-graph files to KnowledgeGraph, one file a source."""
