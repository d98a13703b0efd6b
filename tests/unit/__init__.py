"""Claims about one thing at a time, without a process or a socket."""
