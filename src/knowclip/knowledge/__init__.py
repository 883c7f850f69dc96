"""Text and graphs to structure: parsing, negatives, knowledge graphs. No torch here."""
