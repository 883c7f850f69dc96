"""Files to Example to Batch."""
