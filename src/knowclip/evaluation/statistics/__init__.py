"""How sure a number is, and when a difference may be called one."""
