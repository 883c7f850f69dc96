"""Link prediction over knowledge graphs."""
