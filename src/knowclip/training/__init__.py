"""Method and batches to weights, over Accelerate."""
