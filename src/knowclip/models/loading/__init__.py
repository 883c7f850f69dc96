"""One front door for weights: from a name, a folder or a file to a DualEncoder."""
