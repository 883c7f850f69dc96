"""What a person sees of a command: signs of life, and counts that add up."""
