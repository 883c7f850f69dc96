"""Photos on disk -> an index of their embeddings; a query -> the photos that show what it says."""
