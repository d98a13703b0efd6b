"""What goes over the wire here: bodies, queries and answers."""
