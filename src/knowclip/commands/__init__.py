"""One file a subcommand of the console command."""
