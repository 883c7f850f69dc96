"""Where a CLIP loses who has what and who does what: probes of its towers, rung by rung."""
