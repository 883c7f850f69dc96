"""What Python users call and the commands stand on: load, train, evaluate (``knowclip.load``, ...)."""
