"""A model as a service: HTTP requests -> batches -> vectors, scores, graphs, photos."""
