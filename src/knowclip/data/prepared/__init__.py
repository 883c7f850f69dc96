"""Captions of a corpus of any size, with graphs and negatives, in Parquet shards."""
