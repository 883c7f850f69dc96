"""What a score is worth: blind readers, refined tests, leaks."""
