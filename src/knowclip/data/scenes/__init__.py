"""The embedded default: OpenMoji drawings composed into scenes with exact graphs, in the original formats."""
