"""Downstream tasks: small heads on the towers' features, trained here and measured on held-out items."""
