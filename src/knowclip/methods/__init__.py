"""One file, one method: which losses on which features, with which weights."""
