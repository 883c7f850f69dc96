"""One file a benchmark: metadata, reader of the official layout, protocol."""
