"""What can be refused before torch: files, outputs, packages, recipes, pairs."""
