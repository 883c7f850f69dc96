"""Tensors to a scalar: pure functions that know no model, no data and no rank."""
