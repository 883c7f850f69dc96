"""KnowledgeGraph to batches of triplets."""
