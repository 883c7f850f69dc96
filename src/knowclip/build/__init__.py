"""Recipe -> objects, a builder a section: the only place where configuration meets constructors."""
