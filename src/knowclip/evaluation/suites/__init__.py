"""What is measured together: the benchmarks of a folder, or captioned photos of one's own."""
